package graph

// ID names a Value of a Model. 0 is none.
type ID int

// Value is what an operation makes: float32 rows of Cols columns.
type Value struct {
	Cols   int
	Pooled bool // one row a text, not one a token
}

// Op is one operation: *Embed, *Trigram, *Linear, *Norm, *Add, *Glu,
// *Attention, *Pool or *Normalize.
type Op interface {
	// Reads lists the values that it needs, in the order of its fields.
	Reads() []ID
	// Makes is the value that it makes.
	Makes() ID
	// Kind is its name, for messages.
	Kind() string

	run(r *run) []float32          // the rows of Makes
	check(m *Model) (Value, error) // what Makes must be
}

// append adds op and the value it makes.
func (m *Model) append(op Op, to *ID, v Value) ID {
	if len(m.Values) == 0 {
		m.Values = make([]Value, 1)
	}
	*to = ID(len(m.Values))
	m.Values = append(m.Values, v)
	m.Ops = append(m.Ops, op)
	return *to
}

// Needed lists the operations that the values want depend on, in order.
func (m *Model) Needed(want ...ID) []Op {
	need := make([]bool, len(m.Values))
	for _, id := range want {
		need[id] = true
	}
	var back []Op
	for i := len(m.Ops) - 1; i >= 0; i-- {
		op := m.Ops[i]
		if !need[op.Makes()] {
			continue
		}
		back = append(back, op)
		for _, id := range op.Reads() {
			need[id] = true
		}
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}

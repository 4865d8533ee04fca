package graph

import "fmt"

// Table is a lookup table.
type Table struct {
	Name       string // "embed.word"
	Rows, Cols int
	Data       []float32 // [Rows][Cols]
	Int8       *Int8     // the codes that Data was made of, where the file had such; nil otherwise
}

// Index is what a Lookup goes by.
type Index uint8

// The indices.
const (
	ByID       Index = iota + 1 // the token's id
	ByType                      // the token's type
	ByPosition                  // the token's place in its text, from 0
)

// String is the index's name.
func (i Index) String() string {
	switch i {
	case ByID:
		return "id"
	case ByType:
		return "type"
	case ByPosition:
		return "position"
	}
	return fmt.Sprintf("Index(%d)", uint8(i))
}

// Lookup is one row of a table for each token: the row of its index plus Offset.
type Lookup struct {
	Table  *Table
	By     Index
	Offset int
	// Pad: of a lookup by position with an Offset of at least 1, tokens of the
	// id PadID take the row Offset-1 and are not counted, as RoBERTa numbers
	// padding even where a text spells it out.
	Pad   bool
	PadID int32
}

// Embed makes a row for each token: the sum of its lookups, added in their order
// in float32.
type Embed struct {
	Lookups []Lookup
	Out     ID
}

// Embed appends the operation; all tables must have the same number of columns.
func (m *Model) Embed(lookups ...Lookup) ID {
	op := &Embed{Lookups: lookups}
	return m.append(op, &op.Out, Value{Cols: lookups[0].Table.Cols})
}

func (o *Embed) Reads() []ID  { return nil }
func (o *Embed) Makes() ID    { return o.Out }
func (o *Embed) Kind() string { return "embed" }

func (o *Embed) check(*Model) (Value, error) {
	if len(o.Lookups) == 0 {
		return Value{}, fmt.Errorf("no lookups")
	}
	cols := o.Lookups[0].Table.Cols
	for _, l := range o.Lookups {
		t := l.Table
		if t.Cols != cols || t.Rows < 1 || len(t.Data) != t.Rows*t.Cols {
			return Value{}, fmt.Errorf("table %s: %d values for %d x %d, want %d columns", t.Name, len(t.Data), t.Rows, t.Cols, cols)
		}
		if l.Offset < 0 || l.Offset >= t.Rows || l.Pad && (l.By != ByPosition || l.Offset < 1) {
			return Value{}, fmt.Errorf("table %s: offset %d into %d rows", t.Name, l.Offset, t.Rows)
		}
	}
	return Value{Cols: cols}, nil
}

func (o *Embed) run(r *run) []float32 {
	cols := o.Lookups[0].Table.Cols
	x := make([]float32, r.rows*cols)
	for _, l := range o.Lookups {
		counted := 0
		for t := range r.rows {
			var at int
			switch {
			case l.By == ByID:
				at = int(r.ids[t])
			case l.By == ByType:
				at = int(r.types[t])
			case l.Pad && r.ids[t] == l.PadID:
				at = -1
			default:
				at = counted
				counted++
			}
			add(x[t*cols:][:cols], l.Table.Data[(at+l.Offset)*cols:][:cols])
		}
	}
	return x
}

// add adds x to y.
func add(y, x []float32) {
	for i, v := range x {
		y[i] += v
	}
}

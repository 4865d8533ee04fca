package torch

// nest puts values into a container of depth deep.
func (m *machine) nest(deep *int, values ...any) error {
	for _, v := range values {
		*deep = max(*deep, depth(v)+1)
	}
	if *deep > maxDepth {
		return m.errorf("containers are nested more than %d deep", maxDepth)
	}
	return nil
}

// sequence builds and fills lists and tuples.
func (m *machine) sequence(op byte) error {
	switch op {
	case opEmptyTuple:
		return m.newSeq(nil, false)
	case opTuple1, opTuple2, opTuple3:
		items, err := m.pop(int(op-opTuple1) + 1)
		if err != nil {
			return err
		}
		return m.newSeq(items, false)
	case opTuple, opList:
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.newSeq(items, op == opList)
	case opEmptyList:
		return m.newSeq(nil, true)
	}
	items, err := m.pushed(op == opAppends, 1)
	if err != nil {
		return err
	}
	top, err := m.peek()
	if err != nil {
		return err
	}
	l, ok := top.(*seq)
	if !ok || !l.list {
		return m.errorf("appends to what is no list")
	}
	if err := m.nest(&l.depth, items...); err != nil {
		return err
	}
	if err := m.grow(len(l.items), cap(l.items), len(items), 16); err != nil {
		return err
	}
	l.items = append(l.items, items...)
	return nil
}

// pushed is everything above the last mark or the last n values.
func (m *machine) pushed(mark bool, n int) ([]any, error) {
	if mark {
		return m.popMark()
	}
	return m.pop(n)
}

// grow counts the memory of appending more items of size bytes.
func (m *machine) grow(length, room, more, size int) error {
	if length+more <= room {
		return nil
	}
	return m.charge(size * (2*length + more + 2))
}

// newSeq pushes a new sequence with a copy of items.
func (m *machine) newSeq(items []any, list bool) error {
	s := &seq{list: list, depth: 1}
	if err := m.nest(&s.depth, items...); err != nil {
		return err
	}
	if err := m.charge(40 + 16*len(items)); err != nil {
		return err
	}
	s.items = append(s.items, items...)
	return m.push(s)
}

// dictionary builds and fills dictionaries.
func (m *machine) dictionary(op byte) error {
	switch op {
	case opEmptyDict:
		return m.newDict(nil)
	case opDict:
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.newDict(items)
	case opBuild:
		return m.build()
	}
	items, err := m.pushed(op == opSetItems, 2)
	if err != nil {
		return err
	}
	top, err := m.peek()
	if err != nil {
		return err
	}
	d, ok := top.(*dict)
	if !ok {
		return m.errorf("sets items of what is no dictionary")
	}
	return m.insert(d, items)
}

// newDict pushes a new dictionary of keys and values in turn.
func (m *machine) newDict(items []any) error {
	d := &dict{depth: 1}
	if err := m.insert(d, items); err != nil {
		return err
	}
	if err := m.charge(32); err != nil {
		return err
	}
	return m.push(d)
}

// insert adds keys and values in turn.
func (m *machine) insert(d *dict, items []any) error {
	if len(items)%2 != 0 {
		return m.errorf("a dictionary's key has no value")
	}
	if err := m.nest(&d.depth, items...); err != nil {
		return err
	}
	if err := m.grow(len(d.pairs), cap(d.pairs), len(items)/2, 32); err != nil {
		return err
	}
	for i := 0; i < len(items); i += 2 {
		d.pairs = append(d.pairs, pair{items[i], items[i+1]})
	}
	return nil
}

// build drops the attributes of a dictionary, the "_metadata" of a state dict,
// and refuses those of anything else.
func (m *machine) build() error {
	state, err := m.pop(1)
	if err != nil {
		return err
	}
	top, err := m.peek()
	if err != nil {
		return err
	}
	_, ok := top.(*dict)
	if _, plain := state[0].(*dict); !ok || !plain {
		return m.errorf("sets attributes of what is no state dict")
	}
	return nil
}

// outside is what reaches beyond the pickle: names, calls and storages.
func (m *machine) outside(op byte) error {
	switch op {
	case opGlobal, opInst:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		if op == opInst {
			return m.refuse(module + "." + name)
		}
		return m.global(module, name)
	case opStackGlobal:
		top, err := m.pop(2)
		if err != nil {
			return err
		}
		module, ok := top[0].(string)
		name, ok2 := top[1].(string)
		if !ok || !ok2 {
			return m.errorf("a global whose name is no string")
		}
		return m.global(module, name)
	case opReduce:
		return m.reduce()
	}
	top, err := m.pop(1)
	if err != nil {
		return err
	}
	s, err := m.persistent(top[0])
	if err != nil {
		return err
	}
	return m.push(s)
}

// refuse is the error of a global that is not allowed.
func (m *machine) refuse(name string) error {
	return m.errorf("the pickle names %.200q, which is not allowed; nothing of it was run", name)
}

// global pushes a name of the list of those allowed.
func (m *machine) global(module, name string) error {
	if len(module) > maxName || len(name) > maxName {
		return m.refuse(module[:min(len(module), maxName)] + "." + name[:min(len(name), maxName)])
	}
	g := global(module + "." + name)
	if !g.allowed() {
		return m.refuse(string(g))
	}
	if err := m.charge(32 + len(g)); err != nil {
		return err
	}
	return m.push(g)
}

package graph

import "fmt"

// Check reports the first operation that does not fit its values or weights, or
// a result that does not exist. A Model that passes runs without panic.
func (m *Model) Check() error {
	made := make([]bool, len(m.Values))
	names := make(map[string]any)
	for i, op := range m.Ops {
		where := fmt.Sprintf("operation %d (%s)", i, op.Kind())
		for _, id := range op.Reads() {
			if id < 1 || int(id) >= len(made) || !made[id] {
				return fmt.Errorf("%s: reads value %d before it is made", where, id)
			}
		}
		v, err := op.check(m)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		out := op.Makes()
		if out < 1 || int(out) >= len(made) || made[out] || m.Values[out] != v {
			return fmt.Errorf("%s: makes value %d twice or of another shape", where, out)
		}
		made[out] = true
		if err := distinct(names, op); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	for _, id := range append([]ID{m.Last, m.Answer, max(m.Pooler, m.Last), max(m.Pooled, m.Last)}, m.States...) {
		if id < 1 || int(id) >= len(made) || !made[id] {
			return fmt.Errorf("a result is value %d, which nothing makes", id)
		}
	}
	return nil
}

// distinct notes the weights of op, and refuses one name for two.
func distinct(names map[string]any, op Op) error {
	weights := make(map[string]any)
	switch o := op.(type) {
	case *Embed:
		for _, l := range o.Lookups {
			weights[l.Table.Name] = l.Table
		}
	case *Linear:
		weights[o.W.Name] = o.W
	case *Norm:
		weights[o.W.Name] = o.W
	}
	for name, w := range weights {
		if other, ok := names[name]; ok && other != w {
			return fmt.Errorf("two weights are called %q", name)
		}
		names[name] = w
	}
	return nil
}

// checkInput compares ids and types with the model's tables.
func (m *Model) checkInput(ids, types []int32) error {
	if types != nil && len(ids) != len(types) {
		return fmt.Errorf("%d ids but %d types", len(ids), len(types))
	}
	if len(ids) == 0 || len(ids) > m.MaxPositions {
		return fmt.Errorf("%d tokens, the model takes 1 to %d", len(ids), m.MaxPositions)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= m.Vocab {
			return fmt.Errorf("token %d has id %d, the vocabulary has %d", i, id, m.Vocab)
		}
		if types != nil && m.Types > 0 && (types[i] < 0 || int(types[i]) >= m.Types) {
			return fmt.Errorf("token %d has type %d, the model has %d", i, types[i], m.Types)
		}
	}
	return nil
}

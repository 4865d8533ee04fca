package tokenizer

import "math/bits"

// pairTable maps pairs of ids to the rank of their merge and the id it gives.
// It is one open-addressed array, read once or twice a symbol.
type pairTable struct {
	slots []pairSlot
	shift uint
}

// pairSlot is a pair and its merge.
type pairSlot struct {
	left, right int32
	rank        int32 // from 1; 0: free
	id          int32
}

// newPairTable returns a table with room for n pairs.
func newPairTable(n int) pairTable {
	size := uint(bits.Len(uint(n + n/2 + 4)))
	return pairTable{make([]pairSlot, 1<<size), 64 - size}
}

// slot returns where a pair is or belongs.
func (t *pairTable) slot(left, right int32) *pairSlot {
	mask := uint64(len(t.slots) - 1)
	hash := (uint64(uint32(left))<<32 | uint64(uint32(right))) * 0x9E3779B97F4A7C15 >> t.shift
	for ; ; hash++ {
		if s := &t.slots[hash&mask]; s.rank == 0 || s.left == left && s.right == right {
			return s
		}
	}
}

// set sets the rank of a pair; as in the library the last one counts.
func (t *pairTable) set(left, right, rank, id int32) {
	*t.slot(left, right) = pairSlot{left, right, rank + 1, id}
}

// candidate is a merge that may be done: of the symbol at pos and the next.
type candidate struct {
	order uint64 // rank, then position
	id    int32
}

// push adds the merge of symbols i and j to the heap, if there is one.
func (m *bpe) push(s *workspace, i, j int32) {
	p := m.pairs.slot(s.symbols[i].id, s.symbols[j].id)
	if p.rank == 0 {
		return
	}
	s.heap = append(s.heap, candidate{uint64(p.rank)<<32 | uint64(i), p.id})
	up(s.heap, len(s.heap)-1)
}

// merge merges s.symbols in place.
func (m *bpe) merge(s *workspace) {
	s.heap = s.heap[:0]
	for i := int32(1); int(i) < len(s.symbols); i++ {
		m.push(s, i-1, i)
	}
	for len(s.heap) > 0 {
		top := s.pop()
		i := int32(uint32(top.order))
		y := &s.symbols[i]
		if y.len == 0 || y.next < 0 {
			continue
		}
		// A candidate is stale if the two now give something else. Like the
		// library this does not compare ranks.
		right := &s.symbols[y.next]
		if p := m.pairs.slot(y.id, right.id); p.rank == 0 || p.id != top.id {
			continue
		}
		y.id, y.len, y.next = top.id, y.len+right.len, right.next
		right.len = 0
		if y.next >= 0 {
			s.symbols[y.next].prev = i
			m.push(s, i, y.next)
		}
		if y.prev >= 0 {
			m.push(s, y.prev, i)
		}
	}
}

// pop removes the least candidate.
func (s *workspace) pop() candidate {
	h := s.heap
	top, n := h[0], len(h)-1
	h[0] = h[n]
	s.heap = h[:n]
	down(s.heap)
	return top
}

// up and down restore the heap after its element i, or its first, changed.
func up(h []candidate, i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].order <= h[i].order {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func down(h []candidate) {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].order < h[child].order {
			child++
		}
		if h[i].order <= h[child].order {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

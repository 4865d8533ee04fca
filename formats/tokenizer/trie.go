package tokenizer

import "math/bits"

// trie maps byte strings to values and finds the longest key at the start of a
// text. Its edges live in one open-addressed hash table: it builds in one pass
// without sorting, and a step is about one cache line.
type trie struct {
	edges  []edge // power of two, zero child = free
	shift  uint   // 32 - log2(len(edges))
	values []int32
}

// edge leads from a node by a byte to a child. Node 0 is the root.
type edge struct{ key, child uint32 }

const noValue = -1

// newTrie returns a trie with room for about n nodes.
func newTrie(n int) *trie {
	size := uint(bits.Len(uint(n + n/3 + 8)))
	return &trie{
		edges:  touched(make([]edge, 1<<size)),
		shift:  32 - size,
		values: append(make([]int32, 0, n+1), noValue),
	}
}

// touched writes to every page of edges. A search reads before it writes, and fresh memory
// that is read first costs two faults a page, the second of which stops the other
// processors: together as long as building the trie.
func touched(edges []edge) []edge {
	const page = 4096 / 8
	for i := 0; i < len(edges); i += page {
		edges[i] = edge{}
	}
	return edges
}

// slot returns where the edge with this key is or belongs.
func (t *trie) slot(key uint32) *edge {
	mask := uint32(len(t.edges) - 1)
	for i := key * 0x9E3779B1 >> t.shift; ; i++ {
		e := &t.edges[i&mask]
		if e.child == 0 || e.key == key {
			return e
		}
	}
}

// step returns the child of node by c, 0 if there is none.
func (t *trie) step(node uint32, c byte) uint32 {
	return t.slot(node<<8 | uint32(c)).child
}

// insert sets the value of key; false means it had one.
func (t *trie) insert(key []byte, value int32) bool {
	node := uint32(0)
	for _, c := range key {
		node = t.extend(node, c)
	}
	if t.values[node] != noValue {
		return false
	}
	t.values[node] = value
	return true
}

// extend returns the child of node by c, making it if need be.
func (t *trie) extend(node uint32, c byte) uint32 {
	key := node<<8 | uint32(c)
	e := t.slot(key)
	if e.child != 0 {
		return e.child
	}
	child := uint32(len(t.values))
	t.values = append(t.values, noValue)
	e.key, e.child = key, child
	if len(t.values)*4 > len(t.edges)*3 {
		t.grow()
	}
	return child
}

func (t *trie) grow() {
	old := t.edges
	t.edges = touched(make([]edge, 2*len(old)))
	t.shift--
	for _, e := range old {
		if e.child != 0 {
			*t.slot(e.key) = e
		}
	}
}

// set sets the value of key, whether it had one or not.
func (t *trie) set(key []byte, value int32) {
	node := uint32(0)
	for _, c := range key {
		node = t.extend(node, c)
	}
	t.values[node] = value
}

// getBytes is get.
func (t *trie) getBytes(key []byte) (int32, bool) {
	node := uint32(0)
	for _, c := range key {
		if node = t.step(node, c); node == 0 {
			return 0, false
		}
	}
	return t.values[node], t.values[node] != noValue
}

// walk returns the node that key leads to.
func (t *trie) walk(key string) (uint32, bool) {
	node := uint32(0)
	for i := range len(key) {
		if node = t.step(node, key[i]); node == 0 {
			return 0, false
		}
	}
	return node, true
}

// get returns the value of key.
func (t *trie) get(key string) (int32, bool) {
	node, ok := t.walk(key)
	if !ok || t.values[node] == noValue {
		return 0, false
	}
	return t.values[node], true
}

// longest returns the value and length of the longest key that, after what led
// to node, starts text; length 0 if none does.
func (t *trie) longest(node uint32, text []byte) (value int32, n int) {
	for i, c := range text {
		if node = t.step(node, c); node == 0 {
			break
		}
		if v := t.values[node]; v != noValue {
			value, n = v, i+1
		}
	}
	return value, n
}

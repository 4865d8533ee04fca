package onnx

import (
	"container/heap"
	"slices"
	"strings"
)

// sorted gives nodes an order in which each comes after what it reads: their own
// where that is one, else the one that is nearest to it.
func (s *scope) sorted(nodes []*Node) ([]*Node, error) {
	waits := make([]int, len(nodes))     // on how many others
	readers := make([][]int, len(nodes)) // of what each makes
	inOrder := true
	for i, n := range nodes {
		for _, list := range [][]string{n.Inputs, n.Captures} {
			for _, name := range list {
				if made, ok := s.own[name]; ok && made >= 0 {
					waits[i]++
					readers[made] = append(readers[made], i)
					inOrder = inOrder && made < i
				}
			}
		}
	}
	if inOrder {
		return nodes, nil
	}
	ready := &indexes{}
	for i, n := range waits {
		if n == 0 {
			heap.Push(ready, i)
		}
	}
	order := make([]*Node, 0, len(nodes))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		order = append(order, nodes[i])
		for _, j := range readers[i] {
			if waits[j]--; waits[j] == 0 {
				heap.Push(ready, j)
			}
		}
	}
	if len(order) < len(nodes) {
		return nil, s.cycle(nodes, waits)
	}
	return order, nil
}

// cycle is the error that names one of the cycles among the nodes that still wait.
func (s *scope) cycle(nodes []*Node, waits []int) error {
	i := slices.IndexFunc(waits, func(n int) bool { return n > 0 })
	var path []string
	first := make(map[int]int) // where in path a node came
	for {
		if start, ok := first[i]; ok {
			path = path[start:]
			break
		}
		first[i] = len(path)
		var name string
		name, i = s.blocker(nodes[i], waits)
		path = append(path, name)
	}
	slices.Reverse(path)
	if len(path) > 8 {
		path = append(path[:8], "...")
	}
	return fault(nodes[i].Off, nodes[i].String(), "reads what is made of its own result, a cycle: %s", strings.Join(append(path, path[0]), " -> "))
}

// blocker is a value that n reads of a node that still waits, and that node.
func (s *scope) blocker(n *Node, waits []int) (string, int) {
	for _, list := range [][]string{n.Inputs, n.Captures} {
		for _, name := range list {
			if made, ok := s.own[name]; ok && made >= 0 && waits[made] > 0 {
				return name, made
			}
		}
	}
	return "", 0 // not reached: a node that waits has such a value
}

// indexes is a heap of numbers, the smallest first.
type indexes []int

func (x indexes) Len() int           { return len(x) }
func (x indexes) Less(i, j int) bool { return x[i] < x[j] }
func (x indexes) Swap(i, j int)      { x[i], x[j] = x[j], x[i] }
func (x *indexes) Push(v any)        { *x = append(*x, v.(int)) }
func (x *indexes) Pop() any {
	last := len(*x) - 1
	v := (*x)[last]
	*x = (*x)[:last]
	return v
}

package onnxref

import (
	"fmt"
	"slices"
	"strings"
)

// einsum multiplies its inputs and adds up over every letter that the result does
// not have, one product at a time: letters of the equation name dimensions, "..."
// names those that all inputs may have in front.
func einsum(c *call) ([]*Tensor, error) {
	for i, t := range c.in {
		if t == nil || !t.Float() || t.DType != c.in[0].DType {
			return nil, fmt.Errorf("input %d is %v", i, t)
		}
	}
	e, err := newEquation(c.text("equation", ""), c.in)
	if err != nil {
		return nil, err
	}
	if _, err := c.size(e.shape(e.out)); err != nil {
		return nil, err
	}
	if err := c.labour(append(e.shape(e.out), e.shape(e.summed)...)...); err != nil {
		return nil, err
	}
	out, err := c.make(c.in[0].DType, e.shape(e.out))
	if err != nil {
		return nil, err
	}
	e.run(c.in, out)
	return []*Tensor{out}, nil
}

// equation is an Einsum's, with a capital letter for every dimension of "...".
type equation struct {
	in     []string
	out    string
	summed string // letters of in that out lacks
	size   map[rune]int
}

func newEquation(text string, in []*Tensor) (equation, error) {
	e := equation{size: map[rune]int{}}
	text = strings.ReplaceAll(text, " ", "")
	left, right, explicit := strings.Cut(text, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(in) || strings.ContainsFunc(strings.ReplaceAll(text, "->", ""), unknown) {
		return e, fmt.Errorf("equation %q of %d inputs", text, len(in))
	}
	widest := ""
	for i, t := range in {
		letters, dots := spelled(terms[i], len(t.Shape))
		if len(letters) != len(t.Shape) {
			return e, fmt.Errorf("equation %q: %q for %v", text, terms[i], t)
		}
		if len(dots) > len(widest) {
			widest = dots
		}
		e.in = append(e.in, letters)
		if err := e.measure(letters, t.Shape); err != nil {
			return e, err
		}
	}
	if !explicit {
		right = implied(strings.ReplaceAll(left, "...", ""))
		right = "..." + right
	}
	e.out = strings.Replace(right, "...", widest, 1)
	return e, e.settle(text)
}

func unknown(r rune) bool { return r != '.' && r != ',' && (r < 'a' || r > 'z') }

// spelled replaces "..." by capital letters so that there is one letter for every
// dimension; the last is always A, as dimensions are aligned at the end.
func spelled(term string, rank int) (letters, dots string) {
	n := rank - len(term) + 3
	if strings.Count(term, "...") != 1 || n < 0 || n > 26 {
		return term, ""
	}
	for i := range n {
		dots = string(rune('A'+i)) + dots
	}
	return strings.Replace(term, "...", dots, 1), dots
}

// implied is the right side of an equation without one: the letters that stand
// once on the left, in order.
func implied(left string) string {
	var once []rune
	for _, r := range left {
		if r != ',' && strings.Count(left, string(r)) == 1 {
			once = append(once, r)
		}
	}
	slices.Sort(once)
	return string(once)
}

// measure notes the size of every letter; 1 stretches to any.
func (e *equation) measure(letters string, shape []int) error {
	for i, r := range letters {
		n, ok := e.size[r]
		if ok && n != shape[i] && n != 1 && shape[i] != 1 {
			return fmt.Errorf("%q is %d and %d", r, n, shape[i])
		}
		if !ok || n == 1 {
			e.size[r] = shape[i]
		}
	}
	return nil
}

// settle finds the letters to add up over.
func (e *equation) settle(text string) error {
	for _, r := range e.out {
		if _, ok := e.size[r]; !ok || strings.Count(e.out, string(r)) != 1 {
			return fmt.Errorf("equation %q: result %q", text, e.out)
		}
	}
	for _, r := range strings.Join(e.in, "") {
		if !strings.ContainsRune(e.out+e.summed, r) {
			e.summed += string(r)
		}
	}
	return nil
}

func (e *equation) shape(letters string) []int {
	s := []int{}
	for _, r := range letters {
		s = append(s, e.size[r])
	}
	return s
}

// steps is how far each of letters goes in a tensor spelled by term; a letter
// that stands twice goes along the diagonal.
func (e *equation) steps(letters, term string, shape []int) []int {
	own, out := strides(shape), make([]int, len(letters))
	for i, r := range letters {
		for d, s := range term {
			if s == r && shape[d] != 1 {
				out[i] += own[d]
			}
		}
	}
	return out
}

// run computes every element of the result by itself.
func (e *equation) run(in []*Tensor, out *Tensor) {
	outer, inner := make([][]int, len(in)), make([][]int, len(in))
	for i, t := range in {
		outer[i], inner[i] = e.steps(e.out, e.in[i], t.Shape), e.steps(e.summed, e.in[i], t.Shape)
	}
	starts, folds := make([]int, len(in)), e.shape(e.summed)
	walk(out.Shape, func(i int, at []int) {
		for j := range in {
			starts[j] = offset(at, outer[j])
		}
		sum := 0.0
		walk(folds, func(_ int, at []int) {
			p := 1.0
			for j, t := range in {
				p *= float64(t.F[starts[j]+offset(at, inner[j])])
			}
			sum += p
		})
		out.F[i] = round(out.DType, sum)
	})
}

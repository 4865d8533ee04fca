package onnxref

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"skiff/formats/tensor"
)

// multiplying lists the operators that are matrix products.
func multiplying(name string) operator {
	switch name {
	case "MatMul":
		return operator{2, 2, matMul}
	case "Gemm":
		return operator{2, 3, gemm}
	case "MatMulInteger":
		return operator{2, 4, matMulInteger}
	case "Einsum":
		return operator{1, many, einsum}
	}
	return operator{}
}

// product3 is the shape of a product of stacks of matrices, as numpy's matmul has
// it: batch dimensions broadcast, and a vector is a row on the left and a column
// on the right, of which the result has no dimension.
type product3 struct {
	m, k, n int
	batch   []int // shape
	a, b    []int // strides of the batch dimensions, in elements
	shape   []int // of the result
}

func newProduct(a, b []int) (product3, error) {
	if len(a) == 0 || len(b) == 0 {
		return product3{}, fmt.Errorf("product of a scalar")
	}
	row, column := len(a) == 1, len(b) == 1
	if row {
		a = []int{1, a[0]}
	}
	if column {
		b = []int{b[0], 1}
	}
	ra, rb := len(a)-2, len(b)-2
	p := product3{m: a[ra], k: a[ra+1], n: b[rb+1]}
	if b[rb] != p.k {
		return p, fmt.Errorf("product of %d columns and %d rows", p.k, b[rb])
	}
	var err error
	if p.batch, err = broadcast(a[:ra], b[:rb]); err != nil {
		return p, err
	}
	p.a, p.b = scaled(stretched(a[:ra], len(p.batch)), p.m*p.k), scaled(stretched(b[:rb], len(p.batch)), p.k*p.n)
	p.shape = slices.Clone(p.batch)
	if !row {
		p.shape = append(p.shape, p.m)
	}
	if !column {
		p.shape = append(p.shape, p.n)
	}
	return p, nil
}

func scaled(steps []int, by int) []int {
	for i := range steps {
		steps[i] *= by
	}
	return steps
}

// check holds the product to the budget.
func (p product3) check(c *call) error {
	if _, err := c.size(p.shape); err != nil {
		return err
	}
	return c.labour(product(p.shape), max(p.k, 1))
}

// rows computes row i of a product for every i in any order, on all processors,
// until the context ends. add adds x times row k of b to the sums of the columns.
func (p product3) rows(c *call, row func(i, a, b int)) error {
	starts := make([][2]int, 0, product(p.batch))
	walk(p.batch, func(_ int, at []int) {
		starts = append(starts, [2]int{offset(at, p.a), offset(at, p.b)})
	})
	return c.parallel(len(starts)*p.m, func(i int) {
		s := starts[i/p.m]
		row(i, s[0]+i%p.m*p.k, s[1])
	})
}

// parallel calls f for 0 to n-1, from several goroutines at once.
func (c *call) parallel(n int, f func(i int)) error {
	var done sync.WaitGroup
	workers := min(n, runtime.GOMAXPROCS(0))
	for w := range workers {
		done.Go(func() {
			for i := w; i < n && c.ctx.Err() == nil; i += workers {
				f(i)
			}
		})
	}
	done.Wait()
	return c.ctx.Err()
}

func matMul(c *call) ([]*Tensor, error) { return one(c.matMul(c.in[0], c.in[1], 1)) }

// matMul is a times b times scale, rounded once.
func (c *call) matMul(a, b *Tensor, scale float64) (*Tensor, error) {
	if a.DType != b.DType {
		return nil, fmt.Errorf("element types %v and %v differ", a.DType, b.DType)
	}
	if !a.Float() {
		return c.intProduct(a, b, a.DType, nil, nil)
	}
	p, err := newProduct(a.Shape, b.Shape)
	if err == nil {
		err = p.check(c)
	}
	if err != nil {
		return nil, err
	}
	out, err := c.make(a.DType, p.shape)
	if err != nil {
		return nil, err
	}
	return out, p.rows(c, func(i, ia, ib int) {
		sums := make([]float64, p.n)
		for k, x := range a.F[ia : ia+p.k] {
			for n, y := range b.F[ib+k*p.n : ib+(k+1)*p.n] {
				sums[n] += float64(x) * float64(y)
			}
		}
		for n, s := range sums {
			out.F[i*p.n+n] = round(a.DType, s*scale)
		}
	})
}

// intProduct is (a - za) times (b - zb), of one zero point each, or of one for
// every row of a and every column of b; nil stands for 0.
func (c *call) intProduct(a, b *Tensor, to tensor.DType, za, zb []int64) (*Tensor, error) {
	p, err := newProduct(a.Shape, b.Shape)
	if err == nil {
		err = p.check(c)
	}
	if err != nil {
		return nil, err
	}
	if a.DType == tensor.Bool || !fits(za, p.m) || !fits(zb, p.n) {
		return nil, fmt.Errorf("%d and %d zero points for %d rows and %d columns of %v", len(za), len(zb), p.m, p.n, a.DType)
	}
	out, err := c.make(to, p.shape)
	if err != nil {
		return nil, err
	}
	return out, p.rows(c, func(i, ia, ib int) {
		sums := out.I[i*p.n : (i+1)*p.n]
		for k, x := range a.I[ia : ia+p.k] {
			x -= nth(za, i%max(p.m, 1))
			for n, y := range b.I[ib+k*p.n : ib+(k+1)*p.n] {
				sums[n] += x * (y - nth(zb, n))
			}
		}
		for n, s := range sums {
			sums[n] = wrap(to, s)
		}
	})
}

// fits says whether there is one value, one for each of n, or none.
func fits(v []int64, n int) bool { return len(v) < 2 || len(v) == n }

func nth(v []int64, i int) int64 {
	switch len(v) {
	case 0:
		return 0
	case 1:
		return v[0]
	}
	return v[i]
}

// matMulInteger gives int32. A left side that is floating point is an activation
// that was not quantised (Config.FloatActivations): the product is float32 then.
func matMulInteger(c *call) ([]*Tensor, error) {
	a, b := c.in[0], c.in[1]
	za, zb, err := c.zero(2, a), c.zero(3, b), error(nil)
	if t := c.arg(3); t != nil && (t.Float() || len(t.Shape) > 1) || b.Float() {
		return nil, fmt.Errorf("right side %v with zero point %v", b, c.arg(3))
	}
	if a.Float() {
		if !c.float {
			return nil, fmt.Errorf("left side %v, want integers", a)
		}
		wide, err := c.centred(b, zb)
		if err != nil {
			return nil, err
		}
		return one(c.matMul(a, wide, 1))
	}
	if t := c.arg(2); t != nil && (t.Float() || len(t.Shape) > 1) {
		return nil, fmt.Errorf("left side %v with zero point %v", a, t)
	}
	out, err := c.intProduct(a, b, tensor.I32, za, zb)
	return one(out, err)
}

// zero is the zero point that input i gives for t.
func (c *call) zero(i int, t *Tensor) []int64 {
	if z := c.arg(i); z != nil && !t.Float() {
		return z.I
	}
	return nil
}

// centred is t minus the zero points of its columns, as float32: exact.
func (c *call) centred(t *Tensor, zero []int64) (*Tensor, error) {
	out, err := c.make(tensor.F32, t.Shape)
	if err != nil {
		return nil, err
	}
	columns := 1
	if r := len(t.Shape); r > 0 {
		columns = t.Shape[r-1]
	}
	if !fits(zero, columns) {
		return nil, fmt.Errorf("%d zero points for %d columns", len(zero), columns)
	}
	for i, v := range t.I {
		out.F[i] = float32(v - nth(zero, i%columns))
	}
	return out, nil
}

// gemm is alpha a b + beta c, either of a and b transposed.
func gemm(c *call) ([]*Tensor, error) {
	a, err := c.turned(c.in[0], c.integer("transA", 0) != 0)
	if err != nil {
		return nil, err
	}
	b, err := c.turned(c.in[1], c.integer("transB", 0) != 0)
	if err != nil {
		return nil, err
	}
	if !a.Float() {
		return nil, fmt.Errorf("element type %v, want floating point", a.DType)
	}
	out, err := c.matMul(a, b, c.real("alpha", 1))
	if err != nil || c.arg(2) == nil {
		return one(out, err)
	}
	beta := c.real("beta", 1)
	shape := out.Shape
	sum, err := c.pair(out, c.in[2], func(x, y float64) float64 { return x + beta*y }, nil)
	if err == nil && !slices.Equal(sum.Shape, shape) {
		return nil, fmt.Errorf("bias %v for a product of shape %v", c.in[2], shape)
	}
	return one(sum, err)
}

// turned is the matrix t, transposed or not.
func (c *call) turned(t *Tensor, transposed bool) (*Tensor, error) {
	if len(t.Shape) != 2 {
		return nil, fmt.Errorf("%v is no matrix", t)
	}
	if !transposed {
		return t, nil
	}
	return c.permute(t, []int{1, 0})
}

// permute reorders dimensions: dimension i of the result is order[i] of t.
func (c *call) permute(t *Tensor, order []int) (*Tensor, error) {
	shape, steps := make([]int, len(order)), make([]int, len(order))
	for i, s := range strides(t.Shape) {
		to := slices.Index(order, i)
		shape[to], steps[to] = t.Shape[i], s
	}
	return c.take(t, shape, func(at []int) int { return offset(at, steps) })
}

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

// high and wide are how many rows and columns of a product are computed at once.
const high, wide = 2, 4

// tiles computes a product piece by piece, on all processors, until the context
// ends: the piece from row i of all rows and column j on; ia and ib are where its
// first row of a and its first column of b start.
func (p product3) tiles(c *call, piece func(i, j, ia, ib, rows, columns int)) error {
	down, across := (p.m+high-1)/high, (p.n+wide-1)/wide
	starts := p.starts()
	return c.parallel(len(starts)*across, func(x int) {
		s, j := starts[x/across], x%across*wide
		for r := range down {
			i := r * high
			piece(x/across*p.m+i, j, s[0]+i*p.k, s[1]+j, min(high, p.m-i), min(wide, p.n-j))
		}
	})
}

// starts is where the matrices of a batch begin.
func (p product3) starts() [][2]int {
	starts := make([][2]int, 0, product(p.batch))
	walk(p.batch, func(_ int, at []int) {
		starts = append(starts, [2]int{offset(at, p.a), offset(at, p.b)})
	})
	return starts
}

// parallel calls f for 0 to n-1, from several goroutines at once.
func (c *call) parallel(n int, f func(i int)) error {
	var done sync.WaitGroup
	workers := min(n, runtime.GOMAXPROCS(0))
	for w := range workers {
		done.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers && c.ctx.Err() == nil; i++ {
				f(i)
			}
		})
	}
	done.Wait()
	return c.ctx.Err()
}

func matMul(c *call) ([]*Tensor, error) {
	b, err := c.right()
	if err != nil {
		return nil, err
	}
	return one(c.matMul(c.in[0], b, 1))
}

// right is input 1, in memory that the next product uses again if it is a constant.
func (c *call) right() (*Tensor, error) {
	v, ok := c.views[1]
	switch {
	case !ok:
		return c.in[1], nil
	case !isFloat(v.DType):
		return FromView(v)
	}
	f, err := c.space(v)
	if err != nil {
		return nil, err
	}
	return &Tensor{DType: v.DType, Shape: v.Shape, F: f}, v.Fill(f)
}

// space is scratch for the elements of v.
func (c *call) space(v tensor.View) ([]float32, error) {
	n, ok := tensor.Elements(v.Shape, v.DType.Size())
	if !ok || len(v.Data) != n*v.DType.Size() {
		return nil, fmt.Errorf("tensor %q: %d bytes for shape %v of %v", v.Name, len(v.Data), v.Shape, v.DType)
	}
	if len(*c.scratch) < n {
		*c.scratch = make([]float32, n)
	}
	return (*c.scratch)[:n], nil
}

// matMul is a times b times scale, rounded once.
func (c *call) matMul(a, b *Tensor, scale float64) (*Tensor, error) {
	if a.DType != b.DType || a.DType == tensor.Bool {
		return nil, fmt.Errorf("element types %v and %v", a.DType, b.DType)
	}
	if !a.Float() {
		return c.intProduct(a, b)
	}
	return c.product(a, b, a.DType, scale)
}

// product is a times b times scale, of two float tensors, as elements of type to.
func (c *call) product(a, b *Tensor, to tensor.DType, scale float64) (*Tensor, error) {
	p, err := newProduct(a.Shape, b.Shape)
	if err == nil {
		err = p.check(c)
	}
	if err != nil {
		return nil, err
	}
	out, err := c.make(to, p.shape)
	if err != nil || p.k == 0 {
		return out, err
	}
	return out, p.tiles(c, func(i, j, ia, ib, rows, columns int) {
		var sums [high][wide]float64
		if columns == wide {
			last := ia + (rows-1)*p.k // the first row again, where there is no second
			whole(&sums, a.F[ia:ia+p.k], a.F[last:last+p.k], b.F[ib:], p.n)
		} else {
			partial(&sums, a.F[ia:], b.F[ib:], p.k, p.n, rows, columns)
		}
		for r := range rows {
			for s := range columns {
				out.set((i+r)*p.n+j+s, sums[r][s]*scale)
			}
		}
	})
}

// partial adds up the products of some rows of a and some columns of b: rows of a
// are k apart, those of b n.
func partial(sums *[high][wide]float64, a, b []float32, k, n, rows, columns int) {
	for i := range k {
		for r := range rows {
			x := float64(a[r*k+i])
			for s, y := range b[i*n : i*n+columns] {
				sums[r][s] += x * float64(y)
			}
		}
	}
}

// whole is partial for two rows and all columns of a tile, with every sum in a
// register. A model of a hundred million weights is multiplied by a hundred tokens
// to be accepted.
func whole(sums *[high][wide]float64, first, second, b []float32, n int) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float64
	for i, x := range first {
		row := b[i*n : i*n+wide]
		x0, x1 := float64(x), float64(second[i])
		y0, y1, y2, y3 := float64(row[0]), float64(row[1]), float64(row[2]), float64(row[3])
		s00 += x0 * y0
		s01 += x0 * y1
		s02 += x0 * y2
		s03 += x0 * y3
		s10 += x1 * y0
		s11 += x1 * y1
		s12 += x1 * y2
		s13 += x1 * y3
	}
	sums[0], sums[1] = [wide]float64{s00, s01, s02, s03}, [wide]float64{s10, s11, s12, s13}
}

// intProduct is the product of integers, wrapped to their type.
func (c *call) intProduct(a, b *Tensor) (*Tensor, error) {
	p, err := newProduct(a.Shape, b.Shape)
	if err == nil {
		err = p.check(c)
	}
	if err != nil {
		return nil, err
	}
	out, err := c.make(a.DType, p.shape)
	if err != nil || p.k == 0 {
		return out, err
	}
	return out, p.tiles(c, func(i, j, ia, ib, rows, columns int) {
		for r := range rows {
			for s := range columns {
				sum := int64(0)
				for k := range p.k {
					sum += a.I[ia+r*p.k+k] * b.I[ib+k*p.n+s]
				}
				out.I[(i+r)*p.n+j+s] = wrap(a.DType, sum)
			}
		}
	})
}

// matMulInteger gives int32: codes of 8 bits and their zero points are exact as
// float32, and their products and sums as float64. A left side that is floating
// point is an activation that was not quantised (Config.FloatActivations): the
// result is float32 then.
func matMulInteger(c *call) ([]*Tensor, error) {
	b, err := c.rightCodes()
	if err != nil {
		return nil, err
	}
	a, to := c.in[0], tensor.I32
	if a.Float() && c.float {
		to = tensor.F32
	} else {
		rows, step := 1, 1
		if r := len(a.Shape); r > 1 {
			rows, step = a.Shape[r-2], a.Shape[r-1]
		}
		if a, err = c.centred(a, c.arg(2), rows, step); err != nil {
			return nil, err
		}
	}
	return one(c.product(a, b, to, 1))
}

// rightCodes is input 1 minus the zero points of its columns, in the memory of
// right if it is a constant.
func (c *call) rightCodes() (*Tensor, error) {
	v, ok := c.views[1]
	shape, t := v.Shape, v.DType
	if !ok {
		shape, t = c.in[1].Shape, c.in[1].DType
	}
	columns := 1
	if r := len(shape); r > 1 {
		columns = shape[r-1]
	}
	if !ok {
		return c.centred(c.in[1], c.arg(3), columns, 1)
	}
	zero, err := centres(t, c.arg(3), columns)
	if err != nil {
		return nil, err
	}
	f, err := c.space(v)
	if err != nil {
		return nil, err
	}
	for i, b := range v.Data {
		f[i] = float32(wrap(t, int64(b)) - zero[i%len(zero)])
	}
	return &Tensor{DType: tensor.F32, Shape: shape, F: f}, nil
}

// centred is 8-bit codes minus their zero point, or minus the zero points of n
// lines that lie step apart, as float32.
func (c *call) centred(t, zero *Tensor, n, step int) (*Tensor, error) {
	z, err := centres(t.DType, zero, n)
	if err != nil {
		return nil, err
	}
	out, err := c.make(tensor.F32, t.Shape)
	if err != nil {
		return nil, err
	}
	for i, v := range t.I {
		out.F[i] = float32(v - z[i/step%len(z)])
	}
	return out, nil
}

// centres is the zero point of codes of type t, or those of n lines.
func centres(t tensor.DType, zero *Tensor, n int) ([]int64, error) {
	switch {
	case t != tensor.I8 && t != tensor.U8:
		return nil, fmt.Errorf("codes of type %v", t)
	case zero == nil:
		return []int64{0}, nil
	case zero.DType != t || len(zero.Shape) > 1 || zero.Len() == 0 || zero.Len() != 1 && zero.Len() != n:
		return nil, fmt.Errorf("zero point %v for %d lines of %v", zero, n, t)
	}
	return zero.I, nil
}

// gemm is alpha a b + beta c, either of a and b transposed.
func gemm(c *call) ([]*Tensor, error) {
	a, err := c.turned(c.in[0], c.integer("transA", 0) != 0)
	if err != nil {
		return nil, err
	}
	b, err := c.right()
	if err == nil {
		b, err = c.turned(b, c.integer("transB", 0) != 0)
	}
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

// Package emit writes WebAssembly: expressions typed by Go's own types, function bodies
// with structured control, and a module of them over one fixed memory.
//
// An expression (I32, F32, V128) is the code that leaves one value on the stack; using
// it twice emits it twice, loads included. A Func collects statements; a Var is one of
// its locals. What Go's compiler accepts validates, but for labels used outside of
// their block.
//
//	f := emit.NewFunc(2)
//	p, x := f.Param(0), f.V128()
//	x.Set(p.Get().LoadV128(0))
//	f.StoreV128(p.Get(), 16, x.Get().AddF32(x.Get()))
//	body := f.Body()
//
// The output is a function of the calls alone, byte for byte. Covered is what
// runtime/kernel needs of WebAssembly 2.0 with SIMD128: no calls, globals or tables.
// The package knows nothing of kernels or of the engine, and imports neither.
package emit

import "encoding/binary"

// valtype is a type in the binary format.
type valtype byte

const (
	typeI32  valtype = 0x7f
	typeF32  valtype = 0x7d
	typeV128 valtype = 0x7b
)

// Func is a function body under construction. Its parameters are all i32 and it has no
// results. It is not safe for concurrent use.
type Func struct {
	params int
	locals []valtype
	code   []byte
	depth  int // open blocks
}

// NewFunc starts a function of so many i32 parameters.
func NewFunc(params int) *Func { return &Func{params: params} }

// Var is a local variable or parameter.
type Var[T value] struct {
	f     *Func
	index int
}

// value is the set of expression types.
type value interface{ I32 | F32 | V128 }

// Get is the variable's value at the place where the expression is evaluated.
func (v Var[T]) Get() T { return T{withIndex(0x20, v.index)} }

// Set assigns to the variable.
func (v Var[T]) Set(x T) {
	v.f.code = append(v.f.code, raw(x).code...)
	v.f.code = append(v.f.code, withIndex(0x21, v.index)...)
}

// Param is parameter i.
func (f *Func) Param(i int) Var[I32] { return Var[I32]{f, i} }

// I32 adds a local.
func (f *Func) I32() Var[I32] { return Var[I32]{f, f.local(typeI32)} }

// F32 adds a local.
func (f *Func) F32() Var[F32] { return Var[F32]{f, f.local(typeF32)} }

// V128 adds a local.
func (f *Func) V128() Var[V128] { return Var[V128]{f, f.local(typeV128)} }

func (f *Func) local(t valtype) int {
	f.locals = append(f.locals, t)
	return f.params + len(f.locals) - 1
}

// Label names an open block or loop.
type Label struct{ depth int }

// Block runs body; a branch to its label leaves the block.
func (f *Func) Block(body func(exit Label)) { f.structured(0x02, body) }

// Loop runs body; a branch to its label starts the body again.
func (f *Func) Loop(body func(again Label)) { f.structured(0x03, body) }

// If runs then when cond is not zero.
func (f *Func) If(cond I32, then func()) {
	f.code = append(f.code, cond.code...)
	f.structured(0x04, func(Label) { then() })
}

func (f *Func) structured(op byte, body func(Label)) {
	const noResult = 0x40
	f.code = append(f.code, op, noResult)
	f.depth++
	body(Label{f.depth})
	f.depth--
	f.code = append(f.code, end)
}

// Br branches to a label.
func (f *Func) Br(l Label) { f.code = append(f.code, withIndex(0x0c, f.depth-l.depth)...) }

// BrIf branches to a label when cond is not zero.
func (f *Func) BrIf(l Label, cond I32) {
	f.code = append(f.code, cond.code...)
	f.code = append(f.code, withIndex(0x0d, f.depth-l.depth)...)
}

// StoreI32 writes x at addr+off.
func (f *Func) StoreI32(addr I32, off int, x I32) { f.store(addr, off, x.code, 0x36) }

// StoreF32 writes x at addr+off.
func (f *Func) StoreF32(addr I32, off int, x F32) { f.store(addr, off, x.code, 0x38) }

// StoreV128 writes x at addr+off.
func (f *Func) StoreV128(addr I32, off int, x V128) { f.store(addr, off, x.code, simd, 0x0b) }

func (f *Func) store(addr I32, off int, x []byte, op ...byte) {
	f.code = append(f.code, addr.code...)
	f.code = append(f.code, x...)
	f.code = appendAccess(append(f.code, op...), off)
}

const end = 0x0b

// Body is the encoded body: runs of locals, then the code. The Func may be added to
// afterwards; the result is a copy.
func (f *Func) Body() []byte {
	var runs [][2]uint64 // length, type
	for _, t := range f.locals {
		if n := len(runs); n > 0 && runs[n-1][1] == uint64(t) {
			runs[n-1][0]++
		} else {
			runs = append(runs, [2]uint64{1, uint64(t)})
		}
	}
	out := binary.AppendUvarint(nil, uint64(len(runs)))
	for _, r := range runs {
		out = append(binary.AppendUvarint(out, r[0]), byte(r[1]))
	}
	return append(append(out, f.code...), end)
}

// withIndex is an instruction with one unsigned immediate.
func withIndex(op byte, index int) []byte {
	return binary.AppendUvarint([]byte{op}, uint64(index))
}

// appendAccess appends a memory instruction's alignment (4 bytes, the least every
// address of ours has) and offset.
func appendAccess(code []byte, off int) []byte {
	return binary.AppendUvarint(append(code, 2), uint64(off))
}

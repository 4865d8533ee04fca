package native

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"skiff/runtime/kernel"
	"skiff/runtime/trial"
)

// tried are the sets of this CPU, then one of primitives in Go, which holds the drivers and
// these tests to account where there is no assembly.
func tried(t testing.TB) []*Set {
	t.Helper()
	all := Sets()
	if len(all) == 0 {
		t.Logf("LOUDLY: this CPU can run none of the sets %v", Names())
	}
	return append(all, &Set{name: "go", usable: true, int8: goInt8(6, 32), float: goFloatOps(8, 6, 4, 2, 1)})
}

// family is the kernels of a BERT such as MiniLM, then one of every other sort.
func family(t testing.TB) (bert, others []*kernel.Kernel) {
	t.Helper()
	add := func(k *kernel.Kernel, err error) {
		if err != nil {
			t.Fatal(err)
		}
		bert = append(bert, k)
	}
	add(kernel.NewEmbed(384, 1e-12))
	add(kernel.NewLinear(0, kernel.ActNone))
	add(kernel.NewLinear(1, kernel.ActNone))
	add(kernel.NewLinear(1, kernel.ActGELU))
	add(kernel.NewLinear(4, kernel.ActNone))
	add(kernel.NewAttention(12, 32, 0.17677669))
	add(kernel.NewAddNorm(384, 1e-12))
	add(kernel.NewMeanPool(384))
	add(kernel.NewL2Norm(384))
	r := trial.Random{State: 3}
	for _, op := range trial.Ops() {
		for range 12 {
			others = append(others, r.Kernel(op, 100))
		}
	}
	return bert, others
}

// TestProve: every kernel that is bound is right on this CPU.
func TestProve(t *testing.T) {
	bert, others := family(t)
	for _, s := range tried(t) {
		start := time.Now()
		for _, k := range bert {
			if err := s.Prove(k); err != nil {
				t.Error(err)
			}
		}
		t.Logf("%s: the %d kernels of a BERT proved in %v", s.Name(), len(bert), time.Since(start))
		for _, k := range others {
			if err := s.Prove(k); err != nil {
				t.Error(err)
			}
		}
	}
}

func BenchmarkProve(b *testing.B) {
	bert, _ := family(b)
	for _, s := range tried(b) {
		b.Run(s.Name(), func(b *testing.B) {
			for b.Loop() {
				for _, k := range bert {
					if err := s.Prove(k); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// TestProveSeesEveryPrimitive breaks each primitive of a set in turn, which then does nothing
// or spoils one bit of what it has written: some kernel must fail its proof.
func TestProveSeesEveryPrimitive(t *testing.T) {
	bert, others := family(t)
	kernels := append(bert, others...)
	for _, s := range tried(t) {
		for _, p := range primitives(s) {
			for _, how := range []string{"does nothing", "spoils a bit"} {
				broken := *s
				called := p.replace(&broken, how)
				if !failsSome(&broken, kernels) {
					t.Errorf("%s: %s %s, and no kernel fails its proof (called: %v)", s.Name(), p.name, how, *called)
				}
			}
		}
	}
}

// failsSome says whether one of the kernels fails its proof. A primitive that does nothing
// may leave a driver with rubbish to index by.
func failsSome(s *Set, kernels []*kernel.Kernel) (fails bool) {
	defer func() { fails = fails || recover() != nil }()
	for _, k := range kernels {
		if s.Prove(k) != nil {
			return true
		}
	}
	return false
}

// primitive is one function of a set: a field, or an element of one that is an array.
type primitive struct {
	name string
	at   func(s *Set) reflect.Value
}

// primitives are all of a set's that are not nil.
func primitives(s *Set) []primitive {
	var out []primitive
	add := func(name string, at func(s *Set) reflect.Value) {
		if f := at(s); f.Kind() == reflect.Func && !f.IsNil() {
			out = append(out, primitive{name, at})
		}
	}
	for _, group := range []func(s *Set) reflect.Value{
		func(s *Set) reflect.Value { return settable(reflect.ValueOf(&s.int8).Elem()) },
		func(s *Set) reflect.Value { return settable(reflect.ValueOf(&s.float).Elem()) },
	} {
		typ := group(s).Type()
		for i := range typ.NumField() {
			at := func(s *Set) reflect.Value { return settable(group(s).Field(i)) }
			add(typ.Field(i).Name, at)
			if typ.Field(i).Type.Kind() == reflect.Array {
				for j := range typ.Field(i).Type.Len() {
					add(fmt.Sprintf("%s[%d]", typ.Field(i).Name, j), func(s *Set) reflect.Value { return settable(at(s).Index(j)) })
				}
			}
		}
	}
	return out
}

// settable is a value that reflection may set although its name is not exported.
func settable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
}

// replace breaks the primitive of a set and tells afterwards whether it was called.
func (p primitive) replace(s *Set, how string) *bool {
	f, called := p.at(s), new(bool)
	right := reflect.ValueOf(f.Interface())
	f.Set(reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
		*called = true
		if how == "does nothing" {
			out := make([]reflect.Value, f.Type().NumOut())
			for i := range out {
				out[i] = reflect.Zero(f.Type().Out(i))
			}
			return out
		}
		out := right.Call(args)
		spoil(args, out)
		return out
	}))
	return called
}

// spoil flips the lowest bit of the first float that was returned or written.
func spoil(args, out []reflect.Value) {
	for i, v := range out {
		if v.Kind() == reflect.Float32 {
			out[i] = reflect.ValueOf(flip(float32(v.Float())))
			return
		}
	}
	for _, v := range args {
		switch p := v.Interface().(type) {
		case *float32:
			*p = flip(*p)
			return
		case []byte:
			p[0] ^= 1
			return
		case *tile:
			*p.out = flip(*p.out)
			return
		}
	}
}

// TestProveSeesEveryTile breaks the products of one size of tile after another.
func TestProveSeesEveryTile(t *testing.T) {
	k, err := kernel.NewLinear(1, kernel.ActNone)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tried(t) {
		for rows := 1; rows <= s.int8.rows; rows++ {
			for cols := 16; cols <= s.int8.cols; cols += 16 {
				broken, right, called := *s, s.int8.multiply, false
				broken.int8.multiply = func(t *tile) {
					right(t)
					if int(t.rows) == rows && int(t.cols) == cols {
						called = true
						*t.out = flip(*t.out)
					}
				}
				if err := broken.Prove(k); err == nil {
					t.Errorf("%s: tiles of %d rows by %d columns are wrong, and nothing was said (called: %v)", s.Name(), rows, cols, called)
				}
			}
		}
	}
}

// TestProveSeesEveryProduct breaks attention's products of one number of rows after another,
// of one panel and of several.
func TestProveSeesEveryProduct(t *testing.T) {
	k, err := kernel.NewAttention(12, 32, 0.17677669)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tried(t) {
		for _, tile := range s.float.tiles {
			for _, several := range []bool{false, true} {
				broken, right := *s, s.float.product
				broken.float.product = func(out *float32, outStride uintptr, a *float32, aStride uintptr, b *float32, k, rows, panels int, scale *float32) {
					right(out, outStride, a, aStride, b, k, rows, panels, scale)
					if rows == tile && (panels > 1) == several {
						*out++
					}
				}
				if broken.Prove(k) == nil {
					t.Errorf("%s: products of %d rows, several panels %v, are wrong, and nothing was said", s.Name(), tile, several)
				}
			}
		}
	}
}

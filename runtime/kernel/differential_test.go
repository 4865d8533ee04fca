package kernel

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"skiff/runtime/emit"
)

// machine runs cases on one of wazero's engines.
type machine struct {
	name    string
	runtime wazero.Runtime
	modules map[string]*instance
}

type instance struct {
	memory   api.Memory
	function api.Function
}

const machinePages = 64

// machines are wazero's interpreter and, where it has one, its compiler.
func machines(t testing.TB) []*machine {
	configs := map[string]wazero.RuntimeConfig{"interpreter": wazero.NewRuntimeConfigInterpreter()}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		configs["compiler"] = wazero.NewRuntimeConfigCompiler()
	}
	var out []*machine
	for name, config := range configs {
		m := &machine{name: name, runtime: wazero.NewRuntimeWithConfig(context.Background(), config), modules: map[string]*instance{}}
		t.Cleanup(func() { m.runtime.Close(context.Background()) })
		out = append(out, m)
	}
	return out
}

// load is the machine's instance of a kernel, in a module of its own.
func (m *machine) load(t testing.TB, k *Kernel) *instance {
	t.Helper()
	i := m.modules[k.Name()]
	if i == nil {
		i = m.instantiate(t, k)
		m.modules[k.Name()] = i
	}
	return i
}

// instantiate makes a new instance with a memory of its own.
func (m *machine) instantiate(t testing.TB, k *Kernel) *instance {
	t.Helper()
	binary := emit.Module(machinePages, []emit.Export{{Name: "k", Params: k.Params(), Body: k.Body()}})
	mod, err := m.runtime.InstantiateWithConfig(context.Background(), binary, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("%s: %s: %v", m.name, k.Name(), err)
	}
	return &instance{mod.ExportedMemory(emit.MemoryName), mod.ExportedFunction("k")}
}

// call runs units [lo, hi) on memory that load's instance holds.
func (i *instance) call(c testCase, lo, hi int) error {
	stack := []uint64{uint64(lo), uint64(hi), uint64(c.scratch)}
	for _, a := range c.args {
		stack = append(stack, uint64(a))
	}
	return i.function.CallWithStack(context.Background(), stack)
}

// run answers the memory, without scratch, after the case, done in the given splits.
func (m *machine) run(t testing.TB, c testCase, splits []int) []byte {
	t.Helper()
	i := m.load(t, c.kernel)
	if !i.memory.Write(0, c.mem) {
		t.Fatalf("case of %d bytes", len(c.mem))
	}
	for s := range splits[1:] {
		if err := i.call(c, splits[s], splits[s+1]); err != nil {
			t.Fatalf("%s: %s: %v", m.name, c.kernel.Name(), err)
		}
	}
	after, _ := i.memory.Read(0, c.scratch)
	return after
}

// reference is run by the Go reference.
func reference(c testCase, splits []int) []byte {
	mem := bytes.Clone(c.mem)
	for s := range splits[1:] {
		c.kernel.Run(mem, uint32(splits[s]), uint32(splits[s+1]), c.scratch, c.args)
	}
	return mem[:c.scratch]
}

// splitOf cuts the case's domain in up to three.
func splitOf(r *random, c testCase) []int {
	units := c.kernel.Units(c.tokens, c.seqs)
	cut := r.intn(units + 1)
	return []int{0, cut, cut + r.intn(units-cut+1), units}
}

// checkCase holds every engine, split anyhow, equal to the reference run whole, which may
// touch nothing but the written extent.
func checkCase(t *testing.T, ms []*machine, c testCase, r *random, label string) {
	t.Helper()
	units := c.kernel.Units(c.tokens, c.seqs)
	want := reference(c, []int{0, units})
	checkGuards(t, c, want, label)
	compare := func(engine string, got []byte) {
		if i := firstDifference(got, want); i >= 0 {
			t.Fatalf("%s: %s: %s differs from the reference at byte %d", label, c.kernel.Name(), engine, i)
		}
	}
	compare("split reference", reference(c, splitOf(r, c)))
	for _, m := range ms {
		compare(m.name, m.run(t, c, splitOf(r, c)))
	}
}

func checkGuards(t *testing.T, c testCase, after []byte, label string) {
	t.Helper()
	extents, err := c.kernel.Extents(c.args, c.tokens, c.seqs)
	if err != nil {
		t.Fatal(err)
	}
	from := 0
	for _, e := range extents {
		if e.Write {
			if !bytes.Equal(after[from:e.Off], c.mem[from:e.Off]) {
				t.Fatalf("%s: %s: wrote before byte %d", label, c.kernel.Name(), e.Off)
			}
			from = int(uint64(e.Off) + e.Len)
		}
	}
	if !bytes.Equal(after[from:], c.mem[from:c.scratch]) {
		t.Fatalf("%s: %s: wrote after byte %d", label, c.kernel.Name(), from)
	}
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// TestLinearRandomShapes compares linear over random shapes up to 130 a side.
func TestLinearRandomShapes(t *testing.T) {
	ms := machines(t)
	count := 20000
	if testing.Short() {
		count = 3000
	}
	r := random{state: 1}
	for i := range count {
		// The interpreter is slow: it takes each tenth case, and smaller ones.
		side, engines := 130, ms
		if i%10 != 0 {
			engines = compilers(ms)
		} else {
			side = 40
		}
		w := workspace{random: random{state: uint64(i)}, kind: flavour(i % int(flavours))}
		s := linearShape{1 + w.intn(side), 1 + w.intn(side), 1 + w.intn(side)}
		outliers, act := w.intn(maxOutliers+1), linearActs[w.intn(len(linearActs))]
		c := w.linear(t, s, outliers, act)
		checkCase(t, engines, c, &r, fmt.Sprintf("case %d: %+v", i, s))
	}
}

// TestLinearExhaustive compares linear over all of 1 to 34 cubed; `make exhaustive`.
func TestLinearExhaustive(t *testing.T) {
	if os.Getenv("SKIFF_EXHAUSTIVE") == "" {
		t.Skip("set SKIFF_EXHAUSTIVE=1")
	}
	ms := machines(t)
	r := random{state: 2}
	const side = 34
	for i := range side * side * side {
		w := workspace{random: random{state: uint64(i)}, kind: flavour(i % int(flavours))}
		s := linearShape{1 + i%side, 1 + i/side%side, 1 + i/side/side}
		c := w.linear(t, s, i%(maxOutliers+1), linearActs[i%len(linearActs)])
		checkCase(t, ms, c, &r, fmt.Sprintf("case %d: %+v", i, s))
	}
}

// compilers leaves out the interpreter.
func compilers(ms []*machine) []*machine {
	var out []*machine
	for _, m := range ms {
		if m.name == "compiler" {
			out = append(out, m)
		}
	}
	return out
}

// TestLinearDeep compares shapes deeper than one depth block.
func TestLinearDeep(t *testing.T) {
	ms := compilers(machines(t))
	r := random{state: 3}
	for i, s := range []linearShape{{6, 16, depthBlock}, {7, 8, depthBlock + 1}, {13, 24, 3*depthBlock - 5}, {5, 48, 2 * depthBlock}, {1, 8, 6000}} {
		for kind := range flavours {
			w := workspace{random: random{state: uint64(i)}, kind: kind}
			checkCase(t, ms, w.linear(t, s, i%5, ActGELU), &r, fmt.Sprintf("%+v", s))
		}
	}
}

// TestRowKernels compares embed, addnorm, meanpool and l2norm over every width of interest.
func TestRowKernels(t *testing.T) {
	ms := machines(t)
	r := random{state: 4}
	for i, h := range widths {
		for kind := range flavours {
			w := func() *workspace {
				return &workspace{random: random{state: uint64(i)*100 + uint64(kind)}, kind: kind}
			}
			label := fmt.Sprintf("width %d, flavour %d", h, kind)
			checkCase(t, ms, w().embed(t, 1+i%5, h), &r, label)
			checkCase(t, ms, w().addNorm(t, 1+i%5, h, false), &r, label)
			checkCase(t, ms, w().addNorm(t, 1+i%5, h, true), &r, label+", in place")
			g := w()
			checkCase(t, ms, g.meanPool(t, h, g.lengths(4, 9)), &r, label)
			checkCase(t, ms, w().l2Norm(t, 1+i%5, h), &r, label)
		}
	}
}

// TestAttentionShapes compares attention over head sizes, lengths and batches.
func TestAttentionShapes(t *testing.T) {
	ms := machines(t)
	r := random{state: 5}
	for i, d := range []int{1, 2, 3, 4, 5, 8, 12, 16, 17, 26, 31, 32, 33, 64} {
		for kind := range flavours {
			w := workspace{random: random{state: uint64(i)*100 + uint64(kind)}, kind: kind}
			lengths := w.lengths(4, 40)
			c := w.attention(t, 1+w.intn(4), d, lengths)
			checkCase(t, ms, c, &r, fmt.Sprintf("head size %d, flavour %d, lengths %v", d, kind, lengths))
		}
	}
	for n := range 40 { // every row tail and pad
		w := workspace{random: random{state: uint64(n)}}
		checkCase(t, ms, w.attention(t, 2, 8, []int{n}), &r, fmt.Sprintf("%d tokens", n))
	}
	w := workspace{}
	checkCase(t, compilers(ms), w.attention(t, 2, 32, []int{512, 3}), &r, "512 tokens")
}

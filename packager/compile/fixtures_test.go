package compile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"skiff/formats/tensor"
	"skiff/packager/compile"
	"skiff/packager/graph"
	"skiff/packager/importer"
	"skiff/packager/quantize"
	"skiff/runtime/engine"
	"skiff/runtime/kernel"
	"skiff/runtime/program"
)

// floor is the least cosine of a text's answer, int8 against float32. A classifier's few
// logits, or one, may all be near zero, where a cosine says nothing: for an answer of fewer
// than fewColumns it is that of the answers to all texts as one vector.
const (
	floor      = 0.98
	embedFloor = 0.995 // of a vector, of a text and of all
	fewColumns = 8
)

// sample is one input of a fixture.
type sample struct {
	Text  any     `json:"text"`
	IDs   []int32 `json:"input_ids"`
	Types []int32 `json:"token_type_ids"`
}

// TestFixtures compiles every fixture that can be imported, runs it on the Go kernels and
// on WebAssembly, alone and in a batch, wants the same bits, and compares the answers with
// the float32 reference: numbers, and what the task makes of them (agreement_test.go). It
// prints a table.
func TestFixtures(t *testing.T) {
	goldens, err := filepath.Glob(filepath.Join(shared(t), "fixtures", "*", "golden.json"))
	if err != nil || len(goldens) == 0 {
		t.Fatal("no fixtures", err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %-9s %5s %5s %9s %9s %9s %9s  %s", "model", "task", "texts", "cols", "cos all", "cos min", "worst", "largest", "decisions: the same, near ties")
	var all agreement
	for _, golden := range goldens {
		dir := filepath.Dir(golden)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			m, err := importer.Open(t.Context(), dir)
			if err != nil {
				fmt.Fprintf(&table, "\n%-36s not imported: %v", name, err)
				t.Skip(err)
			}
			f := newFixture(t, m, readSamples(t, golden))
			f.compare(t)
			a := f.agree(t)
			fmt.Fprintf(&table, "\n%-36s %-9s %5d %5d %9.5f %9.5f %9.2g %9.2g  %v", name, m.Task, len(f.samples), m.Dim(), f.all.cosine(), f.least, f.worst, f.largest, a)
			all.add(a)
		})
	}
	t.Logf("int8 against float32\n%s\nall decisions: %v", &table, all)
	if !t.Failed() && 4*all.ties > all.count {
		t.Errorf("%v: too many near ties for this to say much", all)
	}
}

// fixture is a compiled model and its inputs.
type fixture struct {
	model    *graph.Model
	samples  []sample
	compiled *compile.Result

	got, want [][]float32 // answers, int8 and float32

	all            products // of all answers
	least          float64  // cosine of a text's answer
	worst, largest float64  // difference and value
}

// products are the inner products of two vectors with each other and themselves.
type products struct{ ab, aa, bb float64 }

func (p *products) add(a, b float32) {
	x, y := float64(a), float64(b)
	p.ab, p.aa, p.bb = p.ab+x*y, p.aa+x*x, p.bb+y*y
}

func (p *products) cosine() float64 { return p.ab / math.Sqrt(p.aa*p.bb) }

func newFixture(t *testing.T, m *graph.Model, samples []sample) *fixture {
	t.Helper()
	var names []string
	for i, s := range samples {
		names = append(names, strconv.Itoa(i))
		for j, kind := range s.Types {
			if m.Types == 0 || int(kind) >= m.Types {
				samples[i].Types[j] = 0
			}
		}
	}
	encode := func(name string) []int32 {
		i, _ := strconv.Atoi(name)
		return samples[i].IDs
	}
	outliers, err := quantize.Calibrate(t.Context(), m, names, 1, encode, nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := quantize.Quantise(m, outliers)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compile.Compile(q, compile.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{model: m, samples: samples, compiled: compiled, least: 1}
}

// compare fills the measures and fails where bits differ or an answer is too far off.
func (f *fixture) compare(t *testing.T) {
	t.Helper()
	batch := f.pass(f.samples)
	whole, goTaps := f.run(t, engine.Go, []engine.Input{batch})
	wasm, wasmTaps := f.run(t, engine.Wasm, []engine.Input{batch})
	if !bytes.Equal(whole[0], wasm[0]) || !bytes.Equal(goTaps, wasmTaps) {
		t.Error("the engines' bits differ")
	}
	if len(f.compiled.Program.Taps) != len(f.model.States) || len(goTaps) == 0 {
		t.Errorf("%d taps of %d states, %d bytes", len(f.compiled.Program.Taps), len(f.model.States), len(goTaps))
	}
	var alone []engine.Input
	for _, s := range f.samples {
		alone = append(alone, f.pass([]sample{s}))
	}
	single, _ := f.run(t, engine.Go, alone)
	if !bytes.Equal(bytes.Join(single, nil), whole[0]) {
		t.Error("a batch has other bits than its texts alone")
	}
	reference := f.model.Reference()
	for i, s := range f.samples {
		want, err := reference.Run(s.IDs, s.Types, nil, f.model.Answer)
		if err != nil {
			t.Fatal(err)
		}
		f.measure(f.values(single[i]), f.picked(want[0], alone[i]))
	}
	floor := floor
	if f.model.Task == graph.TaskEmbed {
		floor = embedFloor
	}
	few := f.model.Values[f.model.Answer].Pooled && f.model.Dim() < fewColumns
	if !(f.all.cosine() >= floor) || !few && !(f.least >= floor) {
		t.Errorf("cosine %.5f of all texts, %.5f of one, want %.2f", f.all.cosine(), f.least, floor)
	}
}

// pass is one batch.
func (f *fixture) pass(samples []sample) engine.Input {
	in := engine.Input{Starts: []int32{0}}
	for _, s := range samples {
		first := int32(len(in.IDs))
		in.IDs = append(in.IDs, s.IDs...)
		types := s.Types
		if types == nil {
			types = make([]int32, len(s.IDs))
		}
		in.Types = append(in.Types, types...)
		in.Starts = append(in.Starts, int32(len(in.IDs)))
		if f.model.Task == graph.TaskFillMask {
			in.Picks = append(in.Picks, f.picks(s, first)...)
		}
	}
	return in
}

// picks are the masks of a text that starts at row first, or two of its tokens where it
// has none.
func (f *fixture) picks(s sample, first int32) []int32 {
	var rows []int32
	mask, known := int32(0), false
	if f.model.Tokenizer != nil {
		mask, known = f.model.Tokenizer.ID("[MASK]")
	}
	for i, id := range s.IDs {
		if known && id == mask {
			rows = append(rows, first+int32(i))
		}
	}
	if rows == nil {
		rows = []int32{first, first + int32(len(s.IDs)/2)}
	}
	return rows
}

// picked are the rows of a text's reference answer that the pass gives.
func (f *fixture) picked(want []float32, in engine.Input) []float32 {
	if f.model.Task != graph.TaskFillMask {
		return want
	}
	var rows []float32
	for _, row := range in.Picks {
		rows = append(rows, want[int(row)*f.model.Dim():][:f.model.Dim()]...)
	}
	return rows
}

// values are the rows of an output without their pads.
func (f *fixture) values(out []byte) []float32 {
	var v []float32
	stride := 4 * program.Pad16(f.model.Dim())
	for ; len(out) >= stride; out = out[stride:] {
		for i := range f.model.Dim() {
			v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:])))
		}
	}
	return v
}

// measure adds one text's answer.
func (f *fixture) measure(got, want []float32) {
	if len(got) != len(want) {
		f.least, f.all = 0, products{}
		return
	}
	f.got, f.want = append(f.got, got), append(f.want, want)
	var one products
	for i := range got {
		one.add(got[i], want[i])
		f.all.add(got[i], want[i])
		f.worst = max(f.worst, math.Abs(float64(got[i])-float64(want[i])))
		f.largest = max(f.largest, math.Abs(float64(want[i])))
	}
	f.least = min(f.least, one.cosine())
}

// run gives the output of each pass, and the taps of the first.
func (f *fixture) run(t *testing.T, kind engine.Kind, passes []engine.Input) (outs [][]byte, taps []byte) {
	t.Helper()
	machine, err := engine.New(t.Context(), f.compiled.Program, engine.Config{Kind: kind, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close(context.Background())
	lay(t, f.compiled, machine.Memory())
	for i, in := range passes {
		tap := func(_ int, rows []byte) { taps = append(taps, rows...) }
		if i > 0 {
			tap = nil
		}
		out, err := machine.Run(t.Context(), in, tap)
		if err != nil {
			t.Fatal(err)
		}
		outs = append(outs, bytes.Clone(out))
	}
	return outs, taps
}

// lay puts the tensors where the program wants them.
func lay(t *testing.T, r *compile.Result, mem []byte) {
	t.Helper()
	byName := map[string]compile.Tensor{}
	for _, x := range r.Tensors {
		if _, twice := byName[x.Name]; twice {
			t.Errorf("tensor %s twice", x.Name)
		}
		byName[x.Name] = x
	}
	for _, w := range r.Program.Weights {
		x, ok := byName[w.Tensor]
		if !ok {
			t.Fatalf("no tensor %s", w.Tensor)
		}
		dst := mem[w.Offset : uint64(w.Offset)+w.Bytes()]
		row, pitch := len(x.Data), len(x.Data)
		switch w.Layout {
		case program.Panels:
			if err := kernel.PackWeights(dst, x.Data, 0, int(w.Cols)); err != nil {
				t.Fatal(err)
			}
			continue
		case program.Rows8:
			row, pitch = int(w.Cols), program.Pad16(int(w.Cols))
		case program.RowsF32:
			row, pitch = 4*int(w.Cols), 4*program.Pad16(int(w.Cols))
		}
		if (x.DType == tensor.I8) != (w.Layout == program.Rows8) || len(x.Data)%row != 0 {
			t.Fatalf("tensor %s: %d bytes of %v in layout %d", w.Tensor, len(x.Data), x.DType, w.Layout)
		}
		for i := 0; i*row < len(x.Data); i++ {
			copy(dst[i*pitch:], x.Data[i*row:][:row])
		}
	}
}

func readSamples(t *testing.T, file string) []sample {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Cases []sample `json:"cases"`
	}
	if err := json.Unmarshal(data, &g); err != nil || len(g.Cases) == 0 {
		t.Fatal("no cases", err)
	}
	return g.Cases
}

// shared is the folder of test data that is not in this repository.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SKIFF_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "fixtures")); err != nil {
		t.Skip("SKIPPED LOUDLY: no shared folder: ", err)
	}
	return dir
}

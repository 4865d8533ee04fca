package importer

import (
	"cmp"
	"encoding/binary"
	goflag "flag"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"skiff/formats/safetensors"
	"skiff/formats/torch"
	"skiff/packager/graph"
)

var update = goflag.Bool("update", false, "write the table in README.md anew")

// Where the table stands.
const (
	readmeName  = "../../README.md"
	tableBegin  = "<!-- imports, written by: go test ./packager/importer -run ReadmeTable -update -->\n"
	tableEnd    = "<!-- end of imports -->\n"
	tableNobody = "-"
)

// The columns of the table.
const (
	colSafetensors = "safetensors"
	colShards      = "sharded"
	colZip         = "PyTorch"
	colLegacy      = "PyTorch, legacy"
	colDynamic     = "PyTorch int8"
	colONNX        = "ONNX float32"
	colHalf        = "ONNX float16"
	colInt8        = "ONNX int8"
)

func tableColumns() []string {
	return []string{colSafetensors, colShards, colZip, colLegacy, colDynamic, colONNX, colHalf, colInt8}
}

// imports notes which tasks of an architecture were imported from a kind of file.
type imports map[string]map[string][]string // architecture, column, tasks

func (t imports) note(arch, column, task string) {
	if t[arch] == nil {
		t[arch] = make(map[string][]string)
	}
	if !slices.Contains(t[arch][column], task) {
		t[arch][column] = append(t[arch][column], task)
	}
}

// taskOrder is the order of tasks in the table.
func taskOrder() []string {
	return []string{graph.TaskEmbed, graph.TaskEncode, graph.TaskClassify, "rank", graph.TaskTag, graph.TaskAnswer, graph.TaskFillMask}
}

// render writes the table: a row an architecture. A column says "all" where a file of every
// task of the row was imported, else which were.
func (t imports) render() string {
	var out strings.Builder
	out.WriteString("| architecture | tasks | " + strings.Join(tableColumns(), " | ") + " |\n|" + strings.Repeat("---|", 2+len(tableColumns())) + "\n")
	list := func(tasks []string) string {
		var in []string
		for _, task := range taskOrder() {
			if slices.Contains(tasks, task) {
				in = append(in, task)
			}
		}
		return strings.Join(in, ", ")
	}
	for _, arch := range archNames() {
		all := list(t[arch][colSafetensors])
		fmt.Fprintf(&out, "| %s | %s |", arch, cmp.Or(all, tableNobody))
		for _, column := range tableColumns() {
			tasks := cmp.Or(list(t[arch][column]), tableNobody)
			if tasks == all {
				tasks = "all"
			}
			fmt.Fprintf(&out, " %s |", tasks)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// taskOf is the name of a model's task in the table.
func taskOf(m *graph.Model) string {
	if m.Task == graph.TaskClassify && m.Dim() == 1 {
		return "rank"
	}
	return m.Task
}

// TestReadmeTable: the table of what imports from where is what imports. The weights of
// each fixture, and of classes that have none, are written in every format and imported;
// each must compute the same numbers as the safetensors file, bit for bit, which
// TestFixtures compares with the original library. ONNX files are compared with the
// original's answers. With -update the table is written.
func TestReadmeTable(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED LOUDLY: a thousand imports; not with -short")
	}
	shared(t, "fixtures")
	found := make(imports)
	for _, s := range tableSources(t) {
		t.Run(s.name, func(t *testing.T) { s.everyFormat(t, found) })
	}
	t.Run("onnx", func(t *testing.T) { importONNX(t, found, exports, shared(t, "fixtures")) })
	readme, err := os.ReadFile(readmeName)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), tableBegin)
	old, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: no %s", readmeName, tableBegin)
	}
	table := found.render()
	if old == table || t.Failed() {
		return
	}
	if !*update {
		t.Fatalf("%s says\n%s\nbut what imports is\n%s", readmeName, old, table)
	}
	if err := os.WriteFile(readmeName, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tableSource is a model: the files of its folder without weights, and its tensors.
type tableSource struct {
	name    string
	files   fstest.MapFS
	tensors map[string]weight
}

// tableSources are the fixtures, and classes that have none with random heads.
func tableSources(t *testing.T) []tableSource {
	t.Helper()
	goldens, err := filepath.Glob(filepath.Join(shared(t, "fixtures"), "*", "golden.json"))
	if err != nil || len(goldens) == 0 {
		t.Fatal("no fixtures", err)
	}
	var all []tableSource
	for _, golden := range goldens {
		dir := filepath.Dir(golden)
		f, err := osFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		file, err := f.weights("")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tableSource{filepath.Base(dir), smallFiles(t, dir), tensorsOf(t, file)})
		file.Close()
	}
	for _, c := range headCases() {
		files := c.folder(t).(fstest.MapFS)
		delete(files, safetensors.SingleName)
		all = append(all, tableSource{c.class, files, c.tensors(t, shared(t, "fixtures", c.from))})
	}
	return append(all, familySources(t)...)
}

// smallFiles are the files of a model folder beside its weights and golden files.
func smallFiles(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	files := make(fstest.MapFS)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		base := filepath.Base(name)
		if name == base && (strings.HasPrefix(base, "golden") || strings.Contains(base, "model.") && !strings.HasPrefix(base, "spiece") && !strings.HasPrefix(base, "sentencepiece") ||
			strings.HasPrefix(base, "model-") || strings.HasPrefix(base, "model_") || strings.HasPrefix(base, "pytorch_model")) {
			return nil
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// tensorsOf are a file's floating-point tensors in float32.
func tensorsOf(t *testing.T, file checkpoint) map[string]weight {
	t.Helper()
	out, x := make(map[string]weight), make([]float32, piece)
	for _, name := range file.Names() {
		v, _ := file.Stored(name)
		var data []byte
		err := file.Floats(name, x, func(_ int, x []float32) error {
			for _, f := range x {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
			}
			return nil
		})
		if err == nil && len(v.Shape) > 0 {
			out[name] = weight{"F32", v.Shape, string(data)}
		}
	}
	return out
}

// everyFormat imports the model from every format that holds tensors by name.
func (s *tableSource) everyFormat(t *testing.T, found imports) {
	single := func(w map[string]weight) map[string][]byte {
		return map[string][]byte{safetensors.SingleName: store(w)}
	}
	save := func(w map[string]weight) []byte { return saved(t, w, pickleStyle{}) }
	want := s.answer(t, single(s.tensors))
	_, short := s.open(t, single(halved(s.tensors)))
	codes, storages, rounded := dynamic(s.tensors)
	for _, c := range []struct {
		column string
		files  map[string][]byte
		want   []float32
	}{
		{colSafetensors, single(s.tensors), want},
		{colSafetensors, single(halved(s.tensors)), short},
		{colShards, sharded(t, s.tensors, safetensors.IndexName, ".safetensors", store), want},
		{colShards, sharded(t, s.tensors, torch.IndexName, ".bin", save), want},
		{colZip, map[string][]byte{torch.SingleName: save(s.tensors)}, want},
		{colZip, map[string][]byte{torch.SingleName: saved(t, s.tensors, pickleStyle{columns: true})}, want},
		{colLegacy, map[string][]byte{torch.SingleName: streamed(s.tensors)}, want},
		{colDynamic, map[string][]byte{torch.SingleName: zipped(t, codes, storages)}, s.answer(t, single(rounded))},
	} {
		m, got := s.open(t, c.files)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: other numbers than from safetensors", c.column)
			continue
		}
		found.note(m.Arch, c.column, taskOf(m))
	}
}

// answer is the model's answer to a few tokens.
func (s *tableSource) answer(t *testing.T, weights map[string][]byte) []float32 {
	t.Helper()
	_, x := s.open(t, weights)
	return x
}

// open opens the model with the weights in some files, and answers a few tokens.
func (s *tableSource) open(t *testing.T, weights map[string][]byte) (*graph.Model, []float32) {
	t.Helper()
	files := maps.Clone(s.files)
	for name, data := range weights {
		files[name] = &fstest.MapFile{Data: data}
	}
	m, err := OpenFS(t.Context(), files, "m")
	if err != nil {
		t.Fatalf("%v: %v", slices.Sorted(maps.Keys(weights)), err)
	}
	out, err := m.Reference().Run([]int32{5, 6, 7, 8, 9, 5}, nil, nil, m.Answer)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := finite(out[0]); !ok || len(out[0]) == 0 {
		t.Fatalf("number %d of %d is not finite", at, len(out[0]))
	}
	return m, out[0]
}

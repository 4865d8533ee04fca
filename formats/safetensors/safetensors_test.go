package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// shared is the folder with the large test files, beside the repository or at
// SKIFF_SHARED; the test is skipped when there is none.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	root := os.Getenv("SKIFF_SHARED")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(filepath.Dir(dir), "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED LOUDLY: %s is absent; set SKIFF_SHARED", path)
	}
	return path
}

// file makes a safetensors file of a header and size bytes of data.
func file(header string, size int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	out = append(out, header...)
	for i := range size {
		out = append(out, byte(i))
	}
	return out
}

// entry is the header entry of one tensor.
func entry(name, dtype, shape, offsets string) string {
	return `"` + name + `":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":` + offsets + `}`
}

func TestParse(t *testing.T) {
	f, err := Parse(file(`{"__metadata__":{"format":"pt"},`+entry("b", "F16", "[2]", "[4,8]")+`,`+
		entry("a", "F32", "[]", "[0,4]")+`,`+entry("empty", "F32", "[0,7]", "[4,4]")+`}   `, 8))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff([]string{"a", "b", "empty"}, f.Names()); diff != "" {
		t.Error(diff)
	}
	b, _ := f.Tensor("b")
	if diff := cmp.Diff([]byte{4, 5, 6, 7}, b.Data); diff != "" || b.Shape[0] != 2 || cap(b.Data) != 4 {
		t.Errorf("tensor b is %v: %s", b, diff)
	}
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata is %v", f.Metadata())
	}
	if _, ok := f.Tensor("c"); ok {
		t.Error("there is a tensor c")
	}
}

// refusals are headers over eight bytes of data, with a part of the message.
func refusals() map[string]string {
	one := entry("a", "F32", "[2]", "[0,8]")
	return map[string]string{
		``:                          "header length is 0",
		`[]`:                        "an array where an object",
		`{` + one + `} x`:           "after the end",
		`{` + one + `,` + one + `}`: "twice",
		`{}`:                        "8 bytes follow the last tensor",
		`{` + entry("a", "F32", "[1]", "[0,4]") + `}`:                                 "4 bytes follow",
		`{` + entry("a", "F32", "[1]", "[4,8]") + `}`:                                 "belong to no tensor",
		`{` + one + `,` + entry("b", "F32", "[1]", "[4,8]") + `}`:                     "inside another",
		`{` + one + `,` + entry("b", "F32", "[0]", "[4,4]") + `}`:                     "inside another",
		`{` + entry("a", "F32", "[2]", "[0,12]") + `}`:                                "lies at 0 to 12 of 8",
		`{` + entry("a", "F32", "[2]", "[8,0]") + `}`:                                 "lies at 8 to 0",
		`{` + entry("a", "F32", "[2]", "[-8,0]") + `}`:                                "-8 where a size",
		`{` + entry("a", "F32", "[2]", "[0.0,8]") + `}`:                               "0.0 where an integer",
		`{` + entry("a", "F32", "[2]", "[0,8,8]") + `}`:                               "3 data_offsets",
		`{` + entry("a", "F17", "[2]", "[0,8]") + `}`:                                 `unknown dtype "F17"`,
		`{` + entry("a", "F32", "[3]", "[0,8]") + `}`:                                 "do not hold shape",
		`{` + entry("a", "F32", "[-2]", "[0,8]") + `}`:                                "-2 where a size",
		`{` + entry("a", "F32", "[4294967296,4294967296,2]", "[0,8]") + `}`:           "do not hold shape",
		`{` + entry("a", "F32", "[4611686018427387906]", "[0,8]") + `}`:               "do not hold shape",
		`{` + entry("a", "F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]") + `}`: "more than 16 dimensions",
		`{"a":{"dtype":"F32","data_offsets":[0,8]}}`:                                  `no "shape"`,
		`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`:                `unknown key "x"`,
		`{"__metadata__":{"a":1},` + one + `}`:                                        "a number where a string",
		`{` + entry("\xff", "F32", "[2]", "[0,8]") + `}`:                              "UTF-8",
		`{"a":{"shape":[[[[`: "an array where a number",
	}
}

func TestRefused(t *testing.T) {
	for header, want := range refusals() {
		_, err := Parse(file(header, 8))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", header, err, want)
		}
	}
	for _, data := range []string{"", "1234567", "\xff\xff\xff\xff\xff\xff\xff\xff{}", "\x03\x00\x00\x00\x00\x00\x00\x00{}", "\x00\x00\x00\x00\x00\x00\x00\x80{}"} {
		if _, err := Parse([]byte(data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: got %v", data, err)
		}
	}
}

// TestEveryPrefix: a file cut anywhere is refused.
func TestEveryPrefix(t *testing.T) {
	whole := file(`{`+entry("a", "F32", "[2]", "[0,8]")+`}`, 8)
	for n := range whole {
		if _, err := Parse(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
}

func TestShards(t *testing.T) {
	const x, y = "x.safetensors", "y.safetensors"
	shard := func(names ...string) *fstest.MapFile {
		header, sep := "{", ""
		for i, name := range names {
			header, sep = header+sep+entry(name, "U8", "[1]", strings.ReplaceAll("[#,#1]", "#,#1", num(i)+","+num(i+1))), ","
		}
		return &fstest.MapFile{Data: file(header+"}", len(names))}
	}
	index := func(weights string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"metadata":{"total_size":3},"weight_map":{` + weights + `}}`)}
	}
	good := `"a":"x.safetensors","b":"y.safetensors"`
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"good", fstest.MapFS{IndexName: index(good), x: shard("a"), y: shard("b")}, ""},
		{"the single file comes first", fstest.MapFS{SingleName: shard("a", "b"), IndexName: index(`"c":"nowhere"`)}, ""},
		{"nothing", fstest.MapFS{}, "neither"},
		{"missing file", fstest.MapFS{IndexName: index(good), x: shard("a")}, `"y.safetensors", which is not in the folder`},
		{"missing tensor", fstest.MapFS{IndexName: index(good), x: shard("a"), y: shard("c")}, "does not name"},
		{"empty shard", fstest.MapFS{IndexName: index(good), x: shard("a"), y: shard()}, "does not hold it"},
		{"twice", fstest.MapFS{IndexName: index(good), x: shard("a"), y: shard("a", "b")}, "places in x.safetensors"},
		{"twice in the index", fstest.MapFS{IndexName: index(good + `,"a":"y.safetensors"`), x: shard("a"), y: shard("b")}, "twice"},
		{"escape", fstest.MapFS{IndexName: index(`"a":"../x.safetensors"`)}, "not a file of this folder"},
		{"absolute", fstest.MapFS{IndexName: index(`"a":"/x.safetensors"`)}, "not a file of this folder"},
		{"backslash", fstest.MapFS{IndexName: index(`"a":"..\\x.safetensors"`)}, "not a file of this folder"},
		{"drive", fstest.MapFS{IndexName: index(`"a":"c:x.safetensors"`)}, "not a file of this folder"},
		{"folder", fstest.MapFS{IndexName: index(`"a":"x.safetensors"`), x: {Mode: fs.ModeDir}}, "not a regular file"},
		{"no map", fstest.MapFS{IndexName: {Data: []byte(`{}`)}}, "weight_map"},
		{"bad shard", fstest.MapFS{IndexName: index(good), x: shard("a"), y: {Data: []byte("1234")}}, "y.safetensors: byte 0"},
	} {
		f, err := OpenFS(c.files)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff([]string{"a", "b"}, f.Names()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		f.Close()
	}
}

func num(i int) string { return string(rune('0' + i)) }

func TestOpenMapsAndCloses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SingleName)
	if err := os.WriteFile(path, file(`{`+entry("a", "U8", "[3]", "[0,3]")+`}`, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func() (*File, error){
		func() (*File, error) { return Open(path) },
		func() (*File, error) { return OpenFolder(dir) },
	} {
		f, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := f.Tensor("a"); string(v.Data) != "\x00\x01\x02" {
			t.Errorf("tensor a holds %v", v.Data)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrFormat) {
		t.Errorf("empty file: got %v", err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("folder: got %v", err)
	}
}

// TestMemory: refusing a hostile header costs a small multiple of its size.
func TestMemory(t *testing.T) {
	many := strings.Repeat(`"x":{},`, 1<<18)
	deep := strings.Repeat("[", 1<<20)
	wide := `{"a":{"shape":[` + strings.Repeat("1,", 1<<20)
	keys := &strings.Builder{}
	for i := range 1 << 15 {
		keys.WriteString(entry("tensor"+strings.Repeat(num(i%10), 1+i/4096)+num(i/8%8)+num(i/64%8)+num(i%8)+num(i/512%8)+num(i/4096%8), "F32", "[]", "[0,4]") + ",")
	}
	for name, header := range map[string]string{"many": "{" + many, "deep": deep, "wide": wide, "keys": "{" + keys.String()} {
		data := file(header, 8)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Parse(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
		runtime.ReadMemStats(&after)
		if got, max := after.TotalAlloc-before.TotalAlloc, uint64(12*len(data)); got > max {
			t.Errorf("%s: %d bytes allocated for %d of input", name, got, len(data))
		}
	}
}

// TestHostile runs the shared corpus of malformed files against its verdicts.
func TestHostile(t *testing.T) {
	dir := shared(t, "fixtures", "hostile")
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct{ Verdict, Wrong string }
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, e := range expect {
		if filepath.Ext(name) != ".safetensors" {
			continue
		}
		seen++
		f, err := Open(filepath.Join(dir, name))
		if (err == nil) != (e.Verdict == "accept") {
			t.Errorf("%s (%s): got %v, want %s", name, e.Wrong, err, e.Verdict)
		}
		if err == nil {
			f.Close()
		} else if !errors.Is(err, ErrFormat) || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
	if seen < 30 {
		t.Errorf("only %d files", seen)
	}
}

// FuzzParse: no panic, and what is accepted tiles the data exactly. The seeds
// in testdata are valid and broken files.
func FuzzParse(f *testing.F) {
	for header := range refusals() {
		f.Add(file(header, 8))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("an error that is no ErrFormat: %v", err)
			}
			return
		}
		sum := 0
		for _, name := range file.Names() {
			v, _ := file.Tensor(name)
			if v.Len()*v.DType.Size() != len(v.Data) {
				t.Errorf("tensor %q: %d bytes for %v", name, len(v.Data), v.Shape)
			}
			sum += len(v.Data)
		}
		if sum > len(data) {
			t.Errorf("tensors of %d bytes in a file of %d", sum, len(data))
		}
	})
}

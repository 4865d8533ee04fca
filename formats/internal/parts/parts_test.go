package parts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestOpeners: both kinds give the same bytes and the same refusals.
func TestOpeners(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"a.bin": "abc", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"a.bin": {Data: []byte("abc")}, "empty": {}, "folder": {Mode: fs.ModeDir}}
	for kind, open := range map[string]Opener{"dir": Dir(dir), "fs": FS(files)} {
		for name, want := range map[string]string{"a.bin": "abc", "empty": ""} {
			p, err := open(name, 3)
			if err != nil || string(p.Data) != want || p.Name != name {
				t.Errorf("%s: %s: got %+v, %v", kind, name, p, err)
				continue
			}
			if err := p.Close(); err != nil {
				t.Errorf("%s: %s: close: %v", kind, name, err)
			}
		}
		bad := (*Error)(nil)
		if _, err := open("a.bin", 2); !errors.As(err, &bad) || bad.Error() != "a.bin: 3 bytes, more than 2" {
			t.Errorf("%s: too long: got %v", kind, err)
		}
		if _, err := open("folder", 2); !errors.As(err, &bad) || bad.Msg != "not a regular file" {
			t.Errorf("%s: folder: got %v", kind, err)
		}
		if _, err := open("absent", 2); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: absent: got %v", kind, err)
		}
	}
}

// TestRelease: what was released is there when it is looked at again, to the last byte;
// bytes of no file and of another one are left alone.
func TestRelease(t *testing.T) {
	dir, text := t.TempDir(), strings.Repeat("0123456789abcdef", 5<<10)+"end"
	if err := os.WriteFile(filepath.Join(dir, "a.bin"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, open := range map[string]Opener{"dir": Dir(dir), "fs": FS(os.DirFS(dir))} {
		p, err := open("a.bin", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		Windows(p.Data[5:], p.Release, func(data []byte) { got = append(got, data...) })
		q, err := open("a.bin", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{p.Data[len(p.Data)-1:], q.Data[len(q.Data)-1:], q.Data} {
			Set{p, q}.Release(data)
		}
		p.Release(got)
		p.Release(nil)
		if string(got) != text[5:] || string(p.Data) != text || string(q.Data) != text {
			t.Errorf("%s: other bytes", kind)
		}
		if err := (Set{p, q}).Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWindows: every byte once and in order, each window released when it was looked at.
func TestWindows(t *testing.T) {
	data, at := make([]byte, 2*Window+3), 0
	for i := range data {
		data[i] = byte(i % 251)
	}
	var order []string
	Windows(data, func(part []byte) {
		order = append(order, fmt.Sprintf("release %d", len(part)))
		at += len(part)
	}, func(part []byte) {
		order = append(order, fmt.Sprintf("visit %d", len(part)))
		if &part[0] != &data[at] {
			t.Errorf("not the bytes from %d on", at)
		}
	})
	want := fmt.Sprintf("visit %d, release %[1]d, visit %[1]d, release %[1]d, visit 3, release 3", Window)
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseIndex(t *testing.T) {
	x, err := ParseIndex("i.json", []byte(`{"metadata":{},"weight_map":{"c":"2.bin","a":"1.bin","b":"2.bin"}}`), ".bin")
	if err != nil || strings.Join(x.Shards, " ") != "1.bin 2.bin" || x.Want["c"] != "2.bin" {
		t.Fatalf("got %+v, %v", x, err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{x.Merge("2.bin", []string{"b", "c"}), ""},
		{x.Merge("2.bin", []string{"a"}), "which i.json places in 1.bin"},
		{x.Merge("2.bin", []string{"d"}), "which i.json does not name"},
		{x.Complete(func(name string) bool { return name != "a" }), `tensor "a" in 1.bin, which does not hold it`},
		{x.Complete(func(string) bool { return true }), ""},
		{x.Missing("2.bin"), `the shard "2.bin"`},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("got %v, want %q", c.err, c.want)
		}
	}
	var many strings.Builder
	for i := range maxShards + 1 {
		fmt.Fprintf(&many, `,"%d":"%d.bin"`, i, i)
	}
	for text, want := range map[string]string{
		`{}`: `no "weight_map"`, `[]`: "i.json: byte 0", `{"weight_map":{"a":"1.pt"}}`: "ends in .bin", `{"weight_map":{"a":".bin"}}`: "not a file",
		`{"weight_map":{"a":"x/1.bin"}}`: "not a file", `{"weight_map":{"a":"..\\1.bin"}}`: "not a file", `{"weight_map":{"a":1}}`: "a number where a string",
		`{"weight_map":{` + many.String()[1:] + `}}`: "more than 1000 shards", `{"weight_map":{}}x`: "after the end",
	} {
		if _, err := ParseIndex("i.json", []byte(text), ".bin"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", text, err, want)
		}
	}
}

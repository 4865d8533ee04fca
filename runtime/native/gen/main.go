// Command gen writes the assembly of package native for amd64, and the Go declarations of
// its functions, into the folder it is given: go run . ..
//
// It is a module of its own: what it imports is no dependency of skiff. It must not import
// skiff either: where assembly reads a struct of Go, a test compares the two.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// source is one pair of files, name.s and name.go.
type source struct {
	name  string
	write func(c *build.Context)
}

// sources are all that is generated.
func sources() []source {
	return []source{
		{"int8_avx512_amd64", int8AVX512},
		{"float_avx512_amd64", func(c *build.Context) { floats(c, 16) }},
		{"float_avx2_amd64", func(c *build.Context) { floats(c, 8) }},
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen folder")
		os.Exit(2)
	}
	for _, s := range sources() {
		if err := s.save(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// save writes the files that have changed.
func (s source) save(dir string) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	for ext, text := range files {
		path := filepath.Join(dir, s.name+ext)
		if old, _ := os.ReadFile(path); bytes.Equal(old, text) {
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("write source: %w", err)
		}
	}
	return nil
}

// files are the texts by their endings.
func (s source) files() (map[string][]byte, error) {
	c := build.NewContext()
	s.write(c)
	file, err := c.Result()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", s.name, err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, fmt.Errorf("compile %s: %w", s.name, err)
	}
	cfg := printer.Config{Argv: []string{"make", "generate"}, Pkg: "native"}
	files := map[string][]byte{}
	for ext, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		if files[ext], err = p.Print(file); err != nil {
			return nil, fmt.Errorf("print %s%s: %w", s.name, ext, err)
		}
	}
	if bytes.Contains(files[".go"], []byte("unsafe.")) { // avo imports nothing
		files[".go"] = bytes.Replace(files[".go"], []byte("package native\n"), []byte("package native\n\nimport \"unsafe\"\n"), 1)
	}
	return files, nil
}

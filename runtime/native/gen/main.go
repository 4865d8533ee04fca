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

// source is one pair of files, name_amd64.s and name_gen.go.
type source struct {
	name  string
	write func(c *build.Context)
}

// sources are all that is generated.
func sources() []source {
	return []source{
		{"peak", peaks},
		{"int8_avx512", int8AVX512},
		{"int8_avx2", int8AVX2},
		{"float_avx512", func(c *build.Context) { floats(c, 16) }},
		{"float_avx2", func(c *build.Context) { floats(c, 8) }},
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
	for end, text := range files {
		path := filepath.Join(dir, s.name+end)
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
	c.ConstraintExpr("amd64")
	s.write(c)
	file, err := c.Result()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", s.name, err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, fmt.Errorf("compile %s: %w", s.name, err)
	}
	cfg := printer.Config{Argv: []string{"make", "generate"}, Pkg: "native"}
	code, err := printer.NewGoAsm(cfg).Print(file)
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", s.name, err)
	}
	stubs, err := printer.NewStubs(cfg).Print(file)
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", s.name, err)
	}
	if bytes.Contains(stubs, []byte("unsafe.")) { // avo imports nothing
		stubs = bytes.Replace(stubs, []byte("package native\n"), []byte("package native\n\nimport \"unsafe\"\n"), 1)
	}
	return map[string][]byte{"_amd64.s": code, "_gen.go": stubs}, nil
}

// Command notices prints THIRD_PARTY_NOTICES.md: every library linked into skiff
// or skiffd on the platforms below, with its version, its licence's name and the
// licence's and notice's full text, as found in the module's own files.
//
//	go run ./formats/internal/notices > THIRD_PARTY_NOTICES.md
//
// What is linked is read from go list -deps, so a library that only a test uses,
// or that a dependency names but does not link, is not in it. A licence that this
// command does not know stops it: a person has to read that one first.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	page, err := notices(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(page)
}

// binaries are the programs that are given to people.
var binaries = []string{".", "./agent/cmd/skiffd"}

// platforms are those they are built for.
var platforms = []string{"linux/amd64", "linux/arm64", "linux/riscv64"}

// linked is one package as go list prints it.
type linked struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// library is one module and the texts that travel with it.
type library struct {
	Path, Version string
	Texts         []text
}

// text is one licence or notice file, named from the module's root.
type text struct{ Name, Body string }

// notices writes the page for the module that root is a folder of.
func notices(root string) (string, error) {
	libraries, err := collect(root)
	if err != nil {
		return "", err
	}
	var page strings.Builder
	page.WriteString(heading)
	for _, l := range libraries {
		kinds, err := l.licences()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&page, "| %s | %s | %s |\n", l.Path, l.Version, kinds)
	}
	writeTexts(&page, libraries)
	return page.String(), nil
}

// writeTexts prints every different text once, below the files that hold it.
func writeTexts(page *strings.Builder, libraries []library) {
	var order []string
	holders := map[string][]string{}
	for _, l := range libraries {
		for _, t := range l.Texts {
			body := indent(t.Body)
			if holders[body] == nil {
				order = append(order, body)
			}
			holders[body] = append(holders[body], l.Path+"/"+t.Name)
		}
	}
	for _, body := range order {
		fmt.Fprintf(page, "\n## %s\n\n%s\n", strings.Join(holders[body], ", "), body)
	}
}

// goLicense is the licence of what every Go program is linked from.
//
//go:embed go-license.txt
var goLicense string

const heading = `# Third-party notices

skiff and skiffd are linked from the libraries below, each under its own licence, given in full.
Written by ` + "`go run ./formats/internal/notices`" + `; a test compares it with what is linked.

| library | version | licence |
|---|---|---|
`

// indent makes a text a literal block, so that nothing in it is read as Markdown.
func indent(body string) string {
	var out strings.Builder
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, " \t\r\n\f")
		if line != "" {
			line = "    " + line
		}
		out.WriteString(line + "\n")
	}
	return strings.TrimRight(out.String(), "\n")
}

// collect lists the linked modules in order of their paths, the Go standard
// library and run-time system first.
func collect(root string) ([]library, error) {
	found := map[string]*library{}
	for _, platform := range platforms {
		packages, err := list(root, platform)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if p.Module == nil || p.Module.Main {
				continue
			}
			l := found[p.Module.Path]
			if l == nil {
				l = &library{Path: p.Module.Path, Version: p.Module.Version}
				found[l.Path] = l
			}
			if err := l.read(p.Module.Dir, p.Dir); err != nil {
				return nil, err
			}
		}
	}
	libraries := []library{{
		Path:  "Go standard library and run-time system",
		Texts: []text{{"LICENSE", goLicense}},
	}}
	for _, l := range found {
		slices.SortFunc(l.Texts, func(a, b text) int { return strings.Compare(a.Name, b.Name) })
		libraries = append(libraries, *l)
	}
	slices.SortFunc(libraries[1:], func(a, b library) int { return strings.Compare(a.Path, b.Path) })
	return libraries, nil
}

// list returns the packages linked into the binaries on one platform.
func list(root, platform string) ([]linked, error) {
	goos, goarch, _ := strings.Cut(platform, "/")
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module"}, binaries...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages for %s: %w", platform, err)
	}
	var packages []linked
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p linked
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		packages = append(packages, p)
	}
}

var legal = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying|notice|patents|edl|epl)([-.].*)?$`)

// read adds the legal files of a package's folder and of each folder above it up
// to the module's root: code that a library took over keeps its own licence.
func (l *library) read(root, dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("read %s: %w", l.Path, err)
		}
		for _, e := range entries {
			if e.IsDir() || !legal.MatchString(e.Name()) || path.Ext(e.Name()) == ".go" {
				continue
			}
			if err := l.add(root, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		if dir == root {
			return nil
		}
	}
}

func (l *library) add(root, file string) error {
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(rel)
	if slices.ContainsFunc(l.Texts, func(t text) bool { return t.Name == name }) {
		return nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read licence: %w", err)
	}
	l.Texts = append(l.Texts, text{name, string(body)})
	return nil
}

// signs tell a licence by sentences that only it has.
var signs = []struct{ Licence, Sentence string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "neither the name of"},
	{"BSD-2-Clause", "other materials provided with the distribution. this software is provided by"},
	{"CC0-1.0", "creative commons legal code cc0 1.0 universal"},
	{"EPL-2.0", "eclipse public license - v 2.0"},
	{"Unlicense", "this is free and unencumbered software released into the public domain"},
}

// licences names every licence found in a library's texts.
func (l library) licences() (string, error) {
	var kinds []string
	for _, t := range l.Texts {
		flat := strings.Join(strings.Fields(strings.ToLower(t.Body)), " ")
		for _, s := range signs {
			if strings.Contains(flat, s.Sentence) && !slices.Contains(kinds, s.Licence) {
				kinds = append(kinds, s.Licence)
			}
		}
	}
	if len(kinds) == 0 {
		return "", fmt.Errorf("%s %s: no known licence in %d files", l.Path, l.Version, len(l.Texts))
	}
	return strings.Join(kinds, ", "), nil
}

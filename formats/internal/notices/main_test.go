package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNoticesAreWhatIsLinked compares the committed page with go list -deps.
func TestNoticesAreWhatIsLinked(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	want, err := notices(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "THIRD_PARTY_NOTICES.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go run ./formats/internal/notices > THIRD_PARTY_NOTICES.md (-want +got):\n%s", diff)
	}
}

func TestLicences(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"Apache License\n  Version 2.0, January 2004", "Apache-2.0"},
		{"Permission is hereby granted, free of charge,\nto any person obtaining a copy", "MIT"},
		{"Neither the name of X nor the names", "BSD-3-Clause"},
		{"All rights reserved.", ""},
	} {
		got, err := library{Path: "p", Texts: []text{{"LICENSE", c.body}}}.licences()
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v, want %q", c.body, got, err, c.want)
		}
	}
}

// TestLegalFiles: a licence may be spelled in several ways; code about licences is none.
func TestLegalFiles(t *testing.T) {
	for _, name := range strings.Fields("LICENSE LICENSE.txt LICENCE.md COPYING NOTICE NOTICE.md UNLICENSE PATENTS LICENSE-MIT edl-v10") {
		if !legal.MatchString(name) {
			t.Errorf("%s is not seen", name)
		}
	}
	for _, name := range strings.Fields("license_test.go notices.go licensing") {
		if legal.MatchString(name) {
			t.Errorf("%s is taken for a licence", name)
		}
	}
}

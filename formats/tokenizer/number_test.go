package tokenizer

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestReadNumber: what tokenizers 0.22 has in memory of a score. The ones that are not
// the nearest number are marked.
func TestReadNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
	}{
		{"-11.828745224643143", -0x1.7a8514b491df1p+3}, // not the nearest
		{"-9.666269201720661", -0x1.355213c9f71ccp+3},  // not the nearest
		{"-11.992790138719375", -0x1.7fc4efd332e9bp+3}, // not the nearest
		{"-11.869194602213227", -0x1.7bd07132cbb29p+3}, // not the nearest
		{"-1.8840017013559578", -0x1.e24def7ceea47p+0}, // not the nearest
		{"-1.6107008816524981", -0x1.9c56e49a55f9fp+0}, // not the nearest
		{"0", 0}, {"-3", -3}, {"1e2", 100}, {"-2.5E-1", -0.25}, {"1e400", math.Inf(1)}, {"1e-400", 0}, {"0e999999999999", 0},
		{"18446744073709551616", 18446744073709551610}, {"2.00000000000000000000000", 2}, {"1e99999999999", math.Inf(1)},
	} {
		if got := readNumber([]byte(c.text)); got != c.want {
			t.Errorf("%s: got %b, want %b", c.text, got, c.want)
		}
	}
}

// TestAppendNumber: every number can be written so that it reads back.
func TestAppendNumber(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	longer := 0
	for i := range 100000 {
		f := -r.Float64() * 14
		switch i % 4 {
		case 0:
			f = float64(float32(f))
		case 1:
			f = math.Exp(40 * f)
		}
		text := appendNumber(nil, f)
		if got := readNumber(text); got != f {
			t.Fatalf("%v is written %s, which reads as %v", f, text, got)
		}
		if len(text) > exactDigits {
			longer++
		}
	}
	if longer == 0 {
		t.Error("no number needed more digits")
	}
}

package kernel

import (
	"math"
	"testing"
)

// TestExpError checks exp over every 64th float32 of its domain against float64.
func TestExpError(t *testing.T) {
	var worst float64
	var at float32
	each(-87, 88, func(x float32) {
		want := math.Exp(float64(x))
		if e := math.Abs(float64(exp(x))-want) / want; e > worst {
			worst, at = e, x
		}
	})
	t.Logf("max relative error %.3g at %g", worst, at)
	if worst > 1e-7 {
		t.Error("over 1e-7")
	}
}

// TestErfError checks erf over every 64th float32 against float64.
func TestErfError(t *testing.T) {
	var worst float64
	var at float32
	each(-6, 6, func(x float32) {
		if e := math.Abs(float64(erf(x)) - math.Erf(float64(x))); e > worst {
			worst, at = e, x
		}
	})
	t.Logf("max absolute error %.3g at %g; erf(clamp) %v", worst, at, erf(erfClamp))
	if worst > 4e-7 {
		t.Error("over 4e-7")
	}
}

// TestActError checks the activations over every 64th float32: the absolute error over
// max(1, |x|), and for some the relative one.
func TestActError(t *testing.T) {
	for _, c := range []struct {
		act                Act
		absolute, relative float64 // bounds; 0 is none
	}{
		{ActTanh, 4e-7, 4e-7}, {ActSigmoid, 1e-7, 2e-7}, {ActSiLU, 2e-7, 3e-7}, {ActGELU, 3e-7, 0}, {ActGELUTanh, 3e-7, 0},
	} {
		var absolute, relative float64
		var at, relAt float32
		each(-80, 12, func(x float32) {
			want := exactActs[c.act](float64(x))
			e := math.Abs(float64(c.act.apply(x)) - want)
			if a := e / max(1, math.Abs(float64(x))); a > absolute {
				absolute, at = a, x
			}
			// Results that are denormal have no relative error to speak of.
			if r := e / math.Abs(want); math.Abs(want) > 0x1p-126 && r > relative {
				relative, relAt = r, x
			}
		})
		t.Logf("%s: max absolute error %.3g at %g, relative %.3g at %g", c.act, absolute, at, relative, relAt)
		if absolute > c.absolute || c.relative > 0 && relative > c.relative {
			t.Errorf("%s: over its bound", c.act)
		}
	}
}

// each visits float32 values from lo < 0 to hi > 0.
func each(lo, hi float32, visit func(float32)) {
	step := uint32(64)
	if testing.Short() {
		step = 1024
	}
	for b := uint32(0); b <= math.Float32bits(hi); b += step {
		visit(math.Float32frombits(b))
	}
	for b := uint32(0); b <= math.Float32bits(-lo); b += step {
		visit(-math.Float32frombits(b))
	}
	visit(lo)
	visit(hi)
}

func TestFunctionEdges(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want float32
	}{
		{"exp 0", exp(0), 1},
		{"exp below -87", exp(-87.00001), 0},
		{"exp -Inf", exp(-inf), 0},
		{"exp above 88", exp(200), exp(88)},
		{"exp +Inf", exp(inf), exp(88)},
		{"exp NaN", exp(nan), nan},
		{"erf 0", erf(0), 0},
		{"erf large", erf(1e30), 1},
		{"erf -Inf", erf(-inf), -1},
		{"erf clamp", erf(erfClamp), 1},
		{"erf NaN", erf(nan), nan},
		{"gelu large", gelu(100), 100},
		{"gelu -large", gelu(-100), 0},
		{"gelu NaN", gelu(nan), nan},
	} {
		if c.got != c.want && !(c.got != c.got && c.want != c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if math.Signbit(float64(exp(-100))) {
		t.Error("exp below -87 is -0")
	}
}

package kernel

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestDigests recomputes the digest in each op's name: its reference's output over a
// fixed set of inputs.
func TestDigests(t *testing.T) {
	for _, op := range []struct {
		name, want string
		cases      func(w workspace) []testCase
	}{
		{"embed", digestEmbed, func(w workspace) []testCase {
			return []testCase{w.embed(t, 9, 48), w.embed(t, 5, 33)}
		}},
		{"linear", digestLinear, func(w workspace) []testCase {
			var out []testCase
			for o := range maxOutliers + 1 {
				s := linearShape{7, 33 + o, 40 + 7*o}
				out = append(out, w.linear(t, s, o, ActNone), w.linear(t, s, o, ActGELU))
			}
			return out
		}},
		{"attention", digestAttention, func(w workspace) []testCase {
			return []testCase{w.attention(t, 2, 32, []int{5, 0, 40}), w.attention(t, 3, 13, []int{17, 1})}
		}},
		{"addnorm", digestAddNorm, func(w workspace) []testCase {
			return []testCase{w.addNorm(t, 9, 48, false), w.addNorm(t, 5, 33, true)}
		}},
		{"meanpool", digestMeanPool, func(w workspace) []testCase {
			return []testCase{w.meanPool(t, 48, []int{3, 0, 20}), w.meanPool(t, 33, []int{1})}
		}},
		{"l2norm", digestL2Norm, func(w workspace) []testCase {
			return []testCase{w.l2Norm(t, 9, 48), w.l2Norm(t, 5, 33)}
		}},
		{"lookup", digestLookup, func(w workspace) []testCase {
			return []testCase{w.lookup(t, 1, 9, 48), w.lookup(t, 2, 5, 33), w.lookup(t, 3, 5, 33)}
		}},
		{"norm", digestNorm, func(w workspace) []testCase {
			return []testCase{w.norm(t, 9, 48), w.norm(t, 5, 33)}
		}},
		{"nonorm", digestNoNorm, func(w workspace) []testCase {
			return []testCase{w.noNorm(t, 9, 48, false), w.noNorm(t, 5, 33, true)}
		}},
		{"add", digestAdd, func(w workspace) []testCase {
			return []testCase{w.add(t, 9, 48), w.add(t, 5, 33)}
		}},
		{"activation", digestActivation, func(w workspace) []testCase {
			var out []testCase
			for act := ActGELU; act <= ActSigmoid; act++ {
				out = append(out, w.activation(t, 9, 48, act), w.activation(t, 5, 33, act))
			}
			return out
		}},
		{"glu", digestGLU, func(w workspace) []testCase {
			var out []testCase
			for act := ActNone; act <= ActSigmoid; act++ {
				out = append(out, w.glu(t, 9, 48, act), w.glu(t, 5, 33, act))
			}
			return out
		}},
		{"lookup with zero points", digestLookupZero, func(w workspace) []testCase {
			return []testCase{w.lookupZero(t, 1, 9, 48), w.lookupZero(t, 2, 5, 33), w.lookupZero(t, 3, 5, 33)}
		}},
		{"attend", digestAttend, func(w workspace) []testCase { return attendDigestCases(t, w) }},
		{"trigram", digestTrigram, func(w workspace) []testCase {
			return []testCase{w.trigram(t, 48, []int{3, 0, 20}), w.trigram(t, 33, []int{1})}
		}},
	} {
		if got := digestCases(op.cases); got != op.want {
			t.Errorf("%s: the reference's digest is %s, its name says %s", op.name, got, op.want)
		}
	}
}

// TestDigestsOfParameters recomputes the digests that a parameter has of its own.
func TestDigestsOfParameters(t *testing.T) {
	for _, act := range linearActs[2:] {
		got := digestCases(func(w workspace) []testCase {
			var out []testCase
			for o := range maxOutliers + 1 {
				out = append(out, w.linear(t, linearShape{7, 33 + o, 40 + 7*o}, o, act))
			}
			return out
		})
		if got != linearDigests(act) {
			t.Errorf("linear %s: the reference's digest is %s, its name says %s", act, got, linearDigests(act))
		}
	}
	for _, act := range linearActs {
		got := digestCases(func(w workspace) []testCase {
			var out []testCase
			for o := range maxOutliers + 1 {
				out = append(out, w.linearZero(t, linearShape{7, 33 + o, 40 + 7*o}, o, act))
			}
			return out
		})
		if got != linearZeroDigests(act) {
			t.Errorf("linear %s with zero points: the reference's digest is %s, its name says %s", act, got, linearZeroDigests(act))
		}
	}
	for _, p := range pools {
		got := digestCases(func(w workspace) []testCase {
			return []testCase{w.pool(t, p, 48, []int{3, 0, 20}), w.pool(t, p, 33, []int{1})}
		})
		if got != poolDigests(p) {
			t.Errorf("pool %s: the reference's digest is %s, its name says %s", p, got, poolDigests(p))
		}
	}
}

// digestCases hashes what the reference writes, over every flavour.
func digestCases(cases func(w workspace) []testCase) string {
	sum := sha256.New()
	for kind := range flavours {
		for _, c := range cases(workspace{random: random{state: 7 + uint64(kind)}, kind: kind}) {
			after := reference(c, []int{0, c.kernel.Units(c.tokens, c.seqs)})
			extents, _ := c.kernel.Extents(c.args, c.tokens, c.seqs)
			for _, e := range extents {
				if e.Write {
					sum.Write(after[e.Off : uint64(e.Off)+e.Len])
				}
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// family is one kernel of each sort, by way of their constructors.
func family(t testing.TB) []*Kernel {
	var out []*Kernel
	add := func(k *Kernel, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	add(NewEmbed(384, 1e-12))
	for o := range maxOutliers + 1 {
		add(NewLinear(o, ActNone))
		add(NewLinear(o, ActGELU))
	}
	add(NewAttention(12, 32, 0.17677669))
	add(NewAttention(12, 26, 0.2))
	add(NewAddNorm(384, 1e-12))
	add(NewMeanPool(384))
	add(NewL2Norm(384))
	for o := range maxOutliers + 1 {
		for _, act := range linearActs[2:] {
			add(NewLinear(o, act))
		}
	}
	add(NewNorm(384, 1e-5))
	add(NewNoNorm(128, false))
	add(NewNoNorm(128, true))
	add(NewAdd(384))
	for act := ActGELU; act <= ActSigmoid; act++ {
		add(NewActivation(100, act))
		add(NewGLU(100, act))
	}
	for n := 1; n <= maxTables; n++ {
		add(NewLookup(n, 384))
	}
	add(NewTrigram(128))
	for _, o := range attendOptions {
		add(NewAttend(12, 64, 0.125, o))
	}
	for _, p := range pools {
		add(NewPool(p, 384))
	}
	for _, p := range pools {
		add(NewPoolAfter(p, 384))
	}
	add(NewConcat(3, 26))
	for o := range maxOutliers + 1 {
		for _, act := range linearActs {
			add(NewLinearZero(o, act))
		}
	}
	for n := 1; n <= maxTables; n++ {
		add(NewLookupZero(n, 384))
	}
	return out
}

func TestParseRoundTrip(t *testing.T) {
	for _, k := range family(t) {
		got, err := Parse(k.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got.Name() != k.Name() || !bytes.Equal(got.Body(), k.Body()) {
			t.Errorf("%s parses as %s", k.Name(), got.Name())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	linear := "linear.v1." + digestLinear
	addnorm := "addnorm.v1." + digestAddNorm
	for _, name := range []string{
		"", "linear", "conv.v1.00000000/h1",
		linear, linear + "/", linear + "/o1", linear + "/o5,none", linear + "/o01,none", linear + "/o1,relu",
		linear + "/o1,none,", linear + "/o1,none,x", linear + "/o1,none,zero", "linear.v1." + linearZeroDigests(ActNone) + "/o1,none",
		"linear.v1." + linearZeroDigests(ActNone) + "/o1,zero,none", "lookup.v1." + digestLookup + "/n1,h16,zero", linear + "/o+1,none", " " + linear + "/o1,none",
		"linear.v2." + digestLinear + "/o1,none", "linear.v1.ffffffff/o1,none",
		addnorm + "/h0,eps2b8cbccc", addnorm + "/h16385,eps2b8cbccc", addnorm + "/h16,eps2B8CBCCC",
		addnorm + "/h16,eps00000000", addnorm + "/h16,eps7fc00000", addnorm + "/h16,eps80000001",
	} {
		if _, err := Parse(name); !errors.Is(err, ErrName) {
			t.Errorf("Parse(%q): %v, want ErrName", name, err)
		}
	}
}

// FuzzParse wants every accepted name to be canonical, and no panic.
func FuzzParse(f *testing.F) {
	for _, k := range family(f) {
		f.Add(k.Name())
	}
	f.Fuzz(func(t *testing.T, name string) {
		if k, err := Parse(name); err == nil && k.Name() != name {
			t.Errorf("%q is accepted as %q", name, k.Name())
		}
	})
}

// TestBodiesGolden pins the bytes that bundles carry: a change is seen and meant.
func TestBodiesGolden(t *testing.T) {
	var got strings.Builder
	for _, k := range family(t) {
		_, params, _ := strings.Cut(k.Name(), "/")
		op, _, _ := strings.Cut(k.Name(), ".")
		fmt.Fprintf(&got, "%s %s %d bytes %x\n", op, params, len(k.Body()), sha256.Sum256(k.Body()))
	}
	path := filepath.Join("testdata", "bodies.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("bodies changed; if meant, go test -update:\n%s", got.String())
	}
}

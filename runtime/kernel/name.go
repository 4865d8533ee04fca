package kernel

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrName is returned when a name is not the canonical name of a kernel of this build.
var ErrName = errors.New("unknown kernel")

// Limits on parameters and arguments, which bound code size and keep int32 exact.
const (
	maxHidden   = 1 << 14 // columns of a normalised row
	maxHeadSize = 256
	maxHeads    = 1 << 10
	maxDepth    = 1 << 16 // K of a linear: 65536 * 128 * 127 < 2^31
	maxColumns  = 1 << 20 // N of a linear
	maxStride   = 1 << 24
	maxOutliers = 4
)

// The digests name each op's reference: the first 8 hex digits of the SHA-256 of its
// output over a fixed set of inputs. A test recomputes them; a change of any bit of a
// result is a new digest, and a new version when both must live side by side.
const (
	digestEmbed     = "c9bdf998"
	digestLinear    = "2684cf9f"
	digestAttention = "e289837e"
	digestAddNorm   = "fe1a0dd5"
	digestMeanPool  = "f5ffe8af"
	digestL2Norm    = "098fb790"

	digestLookup     = "51c0e6d6"
	digestLookupZero = "8fe40dd0"
	digestNorm       = "e2d94e9f"
	digestNoNorm     = "3e63bc83"
	digestAdd        = "210c551a"
	digestGLU        = "039a576c"
	digestActivation = "0e468383"
	digestTrigram    = "e6dd8c05"
	digestAttend     = "f769ddd0"
	digestConcat     = "f72aa386"
)

// linearDigests is the digest of a linear that ends with an activation; none for those
// it cannot end with. ActSigmoid is one: it would fill the pad lanes with halves.
func linearDigests(a Act) string {
	return map[Act]string{
		ActNone: digestLinear, ActGELU: digestLinear,
		ActReLU: "563be76a", ActGELUTanh: "348bbe46", ActSiLU: "b5aea51e", ActTanh: "44c75946",
	}[a]
}

// linearZeroDigests is the same for a linear with zero points.
func linearZeroDigests(a Act) string {
	return map[Act]string{
		ActNone: "d6b53fab", ActGELU: "3942fa65", ActReLU: "38e23c37", ActGELUTanh: "b3d1803e", ActSiLU: "44cdd02d", ActTanh: "e7b6323a",
	}[a]
}

// poolDigests is the digest of a pool.
func poolDigests(p Pool) string {
	return map[Pool]string{
		PoolMean: "e9337856", PoolCLS: "b28a6f9c", PoolLast: "cc63ff0f", PoolMax: "9266e37b",
		PoolWeighted: "f3f23b96", PoolMeanSqrt: "4063883a",
	}[p]
}

// poolAfterDigests is the same of a pool that skips rows.
func poolAfterDigests(p Pool) string {
	return map[Pool]string{
		PoolMean: "896a3862", PoolCLS: "e0ffd0f5", PoolLast: "5c82b384", PoolMax: "80e7c814",
		PoolWeighted: "522c9ddf", PoolMeanSqrt: "de711690",
	}[p]
}

// canonical joins a name from its parts.
func canonical(op, digest, params string) string {
	return op + ".v1." + digest + "/" + params
}

// Parse returns the kernel of a canonical name. Errors wrap ErrName.
func Parse(name string) (*Kernel, error) {
	k, err := parse(name)
	if err != nil {
		return nil, fmt.Errorf("%w %.100q: %w", ErrName, name, err)
	}
	if k.Name() != name {
		return nil, fmt.Errorf("%w %.100q: canonical is %q", ErrName, name, k.Name())
	}
	return k, nil
}

func parse(name string) (*Kernel, error) {
	f, err := readForm(name)
	if err != nil {
		return nil, err
	}
	return f.kernel()
}

// paramReader takes comma-separated parameters off the front of rest. What it accepts
// may be loose: Parse compares with the canonical form.
type paramReader struct {
	rest string
	bad  bool
}

func (p *paramReader) next() string {
	var item string
	item, p.rest, _ = strings.Cut(p.rest, ",")
	return item
}

func (p *paramReader) int(key string) int {
	digits, ok := strings.CutPrefix(p.next(), key)
	n, err := strconv.ParseUint(digits, 10, 24)
	p.bad = p.bad || !ok || err != nil
	return int(n)
}

func (p *paramReader) float(key string) float32 {
	digits, ok := strings.CutPrefix(p.next(), key)
	n, err := strconv.ParseUint(digits, 16, 32)
	p.bad = p.bad || !ok || err != nil
	return math.Float32frombits(uint32(n))
}

// flag takes the next parameter if it is this word.
func (p *paramReader) flag(word string) bool {
	found := p.rest == word || strings.HasPrefix(p.rest, word+",")
	if found {
		p.next()
	}
	return found
}

// attendOptions reads the options in the order of AttendOptions' string.
func (p *paramReader) attendOptions() AttendOptions {
	var o AttendOptions
	if strings.HasPrefix(p.rest, "w") {
		o.Window = p.int("w")
	}
	o.Bias, o.Rotary, o.C2P, o.P2C = p.flag("bias"), p.flag("rotary"), p.flag("c2p"), p.flag("p2c")
	return o
}

// hexFloat is a float32 parameter: its bits in 8 hex digits.
func hexFloat(x float32) string { return fmt.Sprintf("%08x", math.Float32bits(x)) }

// checkRange wants an integer parameter within limits.
func checkRange(name string, v, lo, hi int) error {
	if v < lo || v > hi {
		return fmt.Errorf("parameter %s: %d: want %d to %d", name, v, lo, hi)
	}
	return nil
}

// checkPositive wants a float parameter that is a positive normal number.
func checkPositive(name string, x float32) error {
	if !(x >= 0x1p-126 && x <= math.MaxFloat32) {
		return fmt.Errorf("parameter %s: %g: want a positive normal number", name, x)
	}
	return nil
}

package bundle

import (
	"math"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checker collects the first thing that is wrong with a manifest.
type checker struct{ err error }

// want records a fault unless ok.
func (c *checker) want(ok bool, kind error, format string, args ...any) {
	if c.err == nil && !ok {
		c.err = fault("manifest", 0, kind, format, args...)
	}
}

// count records a fault unless lo <= n <= hi.
func (c *checker) count(what string, n, lo, hi int) {
	c.want(n >= lo && n <= hi, ErrLimit, "%s: %d, want %d to %d", what, n, lo, hi)
}

// label checks something that is shown and named: not empty, short, no control characters, no path separators unless paths
// are allowed.
func (c *checker) label(what, s string, paths bool) {
	c.count(what+" length", len(s), 1, MaxName)
	bad := func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError || !paths && (r == '/' || r == '\\')
	}
	c.want(!strings.ContainsFunc(s, bad) && s != "." && s != "..", ErrCorrupt, "%s: %.40q has characters that a name may not have", what, s)
}

// id checks a name that becomes part of a topic.
func (c *checker) id(what, s string) {
	c.count(what+" length", len(s), 1, 64)
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}
	c.want(!strings.ContainsFunc(s, bad), ErrCorrupt, "%s: %.40q is not of [A-Za-z0-9_-]", what, s)
}

func (c *checker) text(what, s string) {
	c.count(what+" length", len(s), 0, MaxText)
	c.want(utf8.ValidString(s), ErrCorrupt, "%s: invalid UTF-8", what)
}

// check holds a manifest against every limit that can be judged without the index.
func (m *Manifest) check() error {
	c := &checker{}
	c.id("product", m.Product)
	c.count("channels", len(m.Channels), 0, MaxChannels)
	for _, channel := range m.Channels {
		c.id("channel", channel)
	}
	c.label("name", m.Name, false)
	c.label("version", m.Version, false)
	c.id("task", m.Task)
	c.meta(m.Meta)
	c.objects(m.Objects)
	c.goldens(m.Goldens)
	c.parts(m.IndexParts)
	c.quality(m.Quality)
	c.text("recipe", m.Lineage.Recipe)
	c.text("tool", m.Lineage.Tool)
	for _, n := range []uint64{m.Memory.Weights, m.Memory.Arena, m.Memory.Scratch, m.Memory.MaxTokens, m.Memory.MaxSeqs} {
		c.want(n <= 1<<48, ErrLimit, "memory: %d, want at most 2^48", n)
	}
	return c.err
}

func (c *checker) meta(m Meta) {
	c.count("tokens per text", m.MaxTokensPerText, 1, 1<<20)
	c.count("hidden", m.Hidden, 1, 1<<20)
	c.text("pooling", m.Pooling)
	c.text("prefix", m.Prefix)
	c.count("labels", len(m.Labels), 0, MaxLabels)
	for _, l := range m.Labels {
		c.text("label", l)
	}
	c.prompts(m.Prompts)
	n := len(m.Thresholds)
	c.want(n <= 1 || n == len(m.Labels), ErrCorrupt, "thresholds: %d for %d labels", n, len(m.Labels))
	for _, v := range m.Thresholds {
		c.want(v >= 0 && v <= 1, ErrCorrupt, "threshold %g, want 0 to 1", v)
	}
}

func (c *checker) prompts(prompts []Prompt) {
	c.count("prompts", len(prompts), 0, MaxPrompts)
	for i, p := range prompts {
		c.label("prompt name", p.Name, true)
		c.text("prompt", p.Text)
		c.want(i == 0 || prompts[i-1].Name < p.Name, ErrCorrupt, "prompt %.40q does not follow %.40q", p.Name, prompts[max(i-1, 0)].Name)
	}
}

func (c *checker) quality(q Quality) {
	c.text("metric", q.Metric)
	c.count("quality count", q.Count, 0, 1<<30)
	for _, v := range []float64{q.FloatScore, q.Int8Score, q.CosineMean, q.CosineP1, q.CosineMin} {
		c.want(!math.IsNaN(v) && !math.IsInf(v, 0), ErrCorrupt, "quality: a figure is not finite")
	}
}

func (c *checker) goldens(goldens []Golden) {
	c.count("goldens", len(goldens), 0, MaxGoldens)
	for _, g := range goldens {
		c.count("golden texts", len(g.Texts), 1, MaxBatch)
		c.count("golden blocks", len(g.Blocks), 0, MaxBlocks)
		for _, s := range g.Texts {
			c.text("golden text", s)
		}
	}
}

func (c *checker) parts(parts []Part) {
	c.count("index parts", len(parts), 1, MaxParts)
	for _, p := range parts {
		c.count("index part length", int(p.Length), entrySize+encodingSize, MaxPart)
	}
}

func (c *checker) objects(objects []Object) {
	c.count("objects", len(objects), 1, MaxObjects)
	type id struct {
		kind Kind
		name string
	}
	seen := make(map[id]bool, min(len(objects), MaxObjects))
	for _, o := range objects {
		if c.err != nil {
			return
		}
		c.object(o)
		c.want(!seen[id{o.Kind, o.Name}], ErrCorrupt, "%s %q is listed twice", o.Kind, o.Name)
		seen[id{o.Kind, o.Name}] = true
	}
}

func (c *checker) object(o Object) {
	c.label("object name", o.Name, true)
	c.want(o.Kind != 0, ErrCorrupt, "object %q has no kind", o.Name)
	c.want(o.Length >= 1 && o.Length <= MaxObjectBytes, ErrLimit, "%s %q: %d bytes", o.Kind, o.Name, o.Length)
	if o.Kind == KindTensor {
		c.want(o.DType.Size() > 0, ErrUnsupported, "tensor %q: dtype %d", o.Name, o.DType)
		size, ok := shapeSize(o.Shape, o.DType.Size())
		c.want(ok && size == o.Length, ErrCorrupt, "tensor %q: %d bytes are not %s %v", o.Name, o.Length, o.DType, o.Shape)
	} else {
		c.want(o.DType == 0 && len(o.Shape) == 0, ErrCorrupt, "%s %q has a shape", o.Kind, o.Name)
	}
	var sum uint64
	for _, x := range o.Extents {
		c.want(x.Chunk < MaxChunks, ErrLimit, "%s %q: chunk %d", o.Kind, o.Name, x.Chunk)
		c.want(x.Length >= 1 && x.Length <= MaxChunk && x.Offset < MaxChunk, ErrLimit, "%s %q: extent of %d bytes at %d", o.Kind, o.Name, x.Length, x.Offset)
		sum += uint64(x.Length)
	}
	c.want(sum == o.Length, ErrCorrupt, "%s %q: extents of %d bytes, want %d", o.Kind, o.Name, sum, o.Length)
}

// shapeSize returns the bytes of a shape, and whether it is one: at most MaxShape dimensions, none below 1, no overflow.
func shapeSize(shape []int, element int) (uint64, bool) {
	if len(shape) > MaxShape {
		return 0, false
	}
	size := uint64(element)
	for _, n := range shape {
		if n < 1 {
			return 0, false
		}
		var over uint64
		if over, size = bits.Mul64(size, uint64(n)); over != 0 {
			return 0, false
		}
	}
	return size, true
}

// checkExtents holds the objects against the index: every extent lies within its chunk, every chunk is used.
func checkExtents(objects []Object, index []Chunk) error {
	c := &checker{}
	used := make([]bool, len(index))
	for _, o := range objects {
		for _, x := range o.Extents {
			if int(x.Chunk) >= len(index) || uint64(x.Offset)+uint64(x.Length) > uint64(index[x.Chunk].Length) {
				c.want(false, ErrCorrupt, "%s %q: extent outside chunk %d", o.Kind, o.Name, x.Chunk)
				return c.err
			}
			used[x.Chunk] = true
		}
	}
	for i, ok := range used {
		c.want(ok, ErrCorrupt, "chunk %d belongs to no object", i)
	}
	return c.err
}

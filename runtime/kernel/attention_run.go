package kernel

// attentionPart is where rows of one sort are: q, k, v, the output or a table.
type attentionPart struct{ base, stride, column uint32 }

// attentionCall is one call of attention's reference, with or without options.
type attentionCall struct {
	AttendOptions
	mem         []byte
	a, d        int
	scale       float32
	q, k, v     attentionPart
	starts      uint32
	out         attentionPart
	bias        []float32
	biasSpan    int
	cos, sin    []float32
	places      int
	keys        attentionPart
	queries     attentionPart
	rows        uint32
	deltas      []int32
	deltaSpan   int
	first, n    int // the sequence: its first row and length
	head        int
	turnedKeys  int // with Rotary, where k' is: f32 [n][d]
	turnedQuery int
}

// run does the units [lo, hi).
func (c *attentionCall) run(lo, hi, scratch int) {
	for unit := lo; unit < hi; unit++ {
		span := view[int32](c.mem, int(c.starts)+4*(unit/c.a), 2)
		c.first, c.n, c.head = int(span[0]), int(span[1])-int(span[0]), unit%c.a
		if c.n > 0 {
			c.sequence(scratch)
		}
	}
}

// row is the head's d values of row t of the sequence.
func (c *attentionCall) row(p attentionPart, t int) []float32 {
	return c.tableRow(p, c.first+t)
}

func (c *attentionCall) tableRow(p attentionPart, r int) []float32 {
	column := int(p.column) + c.head*c.d
	return view[float32](c.mem, int(p.base)+r*int(p.stride)+4*column, c.d)
}

// query and key are rows of q and k, turned.
func (c *attentionCall) query(i int) []float32 {
	if !c.Rotary {
		return c.row(c.q, i)
	}
	out := view[float32](c.mem, c.turnedQuery, c.d)
	c.turn(out, c.row(c.q, i), i)
	return out
}

func (c *attentionCall) key(j int) []float32 {
	if !c.Rotary {
		return c.row(c.k, j)
	}
	return view[float32](c.mem, c.turnedKeys+4*j*c.d, c.d)
}

// turn is the rotation of a row at place t.
func (c *attentionCall) turn(out, x []float32, t int) {
	half := c.d / 2
	cos, sin := c.cos[min(t, c.places-1)*half:][:half], c.sin[min(t, c.places-1)*half:][:half]
	for i := range half {
		out[i] = float32(x[i]*cos[i]) - float32(x[half+i]*sin[i])
		out[half+i] = float32(x[half+i]*cos[i]) + float32(x[i]*sin[i])
	}
}

// sequence does one head of one sequence.
func (c *attentionCall) sequence(scratch int) {
	plan := planAttention(c.n, c.d)
	c.turnedKeys, c.turnedQuery = scratch, scratch+plan.query
	if c.Rotary {
		for j := range c.n {
			c.turn(c.key(j), c.row(c.k, j), j)
		}
	}
	scores := view[float32](c.mem, scratch+plan.scores, pad16(c.n))
	for i := range c.n {
		lo, hi := 0, c.n
		if c.Window > 0 {
			lo, hi = max(0, i-c.Window), min(c.n, i+c.Window+1)
		}
		out := c.row(c.out, i)
		c.scores(scores[lo:hi], c.query(i), i, lo)
		// The partial sums go by the key's place: +0 for the keys before the window.
		start := lo &^ 15
		clear(scores[start:lo])
		z := softmax(scores[start:pad16(hi)], lo-start, hi-start)
		c.mix(out, scores[lo:hi], lo)
		normalize(out, z)
		if c.head == c.a-1 {
			w := c.a * c.d
			end := int(c.out.base) + (c.first+i)*int(c.out.stride) + 4*w
			clear(view[float32](c.mem, end, pad16(w)-w))
		}
	}
}

// scores fills s with the scores of query i, q, and the keys from lo on. Four keys at a
// time hide the latency of the sums.
func (c *attentionCall) scores(s, q []float32, i, lo int) {
	for len(s) > 0 {
		n := min(4, len(s))
		var keys, distant [4][]float32
		for l := range keys { // the last key stands in for those past the end
			keys[l] = c.key(lo + min(l, n-1))
		}
		var sums [4]float32
		addProducts(&sums, q, &keys)
		if c.C2P {
			for l := range distant {
				distant[l] = c.tableRow(c.keys, c.deltaRow(lo+min(l, n-1)-i))
			}
			addProducts(&sums, q, &distant)
		}
		if c.P2C {
			for l := range n {
				sums[l] = addProduct(sums[l], keys[l], c.tableRow(c.queries, c.deltaRow(lo+l-i)))
			}
		}
		for l := range n {
			s[l] = float32(sums[l] * c.scale)
			if c.Bias {
				s[l] += c.bias[c.head*(2*c.biasSpan-1)+clampDelta(lo+l-i, c.biasSpan)]
			}
		}
		s, lo = s[n:], lo+n
	}
}

// deltaRow is the row of the tables of distances for j-i.
func (c *attentionCall) deltaRow(delta int) int {
	return int(min(uint32(c.deltas[clampDelta(delta, c.deltaSpan)]), c.rows-1))
}

// clampDelta is the entry for a distance in a table of so long a span.
func clampDelta(delta, span int) int { return max(0, min(delta+span-1, 2*span-2)) }

// addProducts adds the products of q and four rows, over ascending depth.
func addProducts(sums *[4]float32, q []float32, rows *[4][]float32) {
	k0, k1, k2, k3 := rows[0][:len(q)], rows[1][:len(q)], rows[2][:len(q)], rows[3][:len(q)]
	s0, s1, s2, s3 := sums[0], sums[1], sums[2], sums[3]
	for d, x := range q {
		s0 += float32(x * k0[d])
		s1 += float32(x * k1[d])
		s2 += float32(x * k2[d])
		s3 += float32(x * k3[d])
	}
	*sums = [4]float32{s0, s1, s2, s3}
}

func addProduct(sum float32, x, y []float32) float32 {
	y = y[:len(x)]
	for d, v := range x {
		sum += float32(v * y[d])
	}
	return sum
}

// softmax turns the scores [lo, hi) into exp(s-max), those from hi on into +0, and
// returns the sum of all.
func softmax(s []float32, lo, hi int) float32 {
	most := s[lo]
	for _, x := range s[lo+1 : hi] {
		if most < x {
			most = x
		}
	}
	for j := lo; j < hi; j++ {
		s[j] = exp(s[j] - most)
	}
	clear(s[hi:])
	return sum(s)
}

// mix sets out to the sum over ascending j, from lo on, of e[j]·v[j].
func (c *attentionCall) mix(out, e []float32, lo int) {
	clear(out)
	for j, x := range e {
		v := c.row(c.v, lo+j)[:len(out)]
		for d := range out {
			out[d] += float32(x * v[d])
		}
	}
}

// normalize multiplies by 1/z; a zero z gives zeros.
func normalize(out []float32, z float32) {
	var r float32
	if z != 0 {
		r = 1 / z
	}
	for d := range out {
		out[d] *= r
	}
}

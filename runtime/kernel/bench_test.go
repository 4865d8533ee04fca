package kernel

import (
	"fmt"
	"testing"
)

// The linears of MiniLM, without and with zero points, then the attention; run with
// -bench . -benchtime 1s.

func BenchmarkLinear(b *testing.B) {
	for _, s := range []struct {
		n, k, outliers int
		act            Act
	}{{1152, 384, 1, ActNone}, {384, 384, 1, ActNone}, {1536, 384, 1, ActGELU}, {384, 1536, 1, ActNone}} {
		for _, m := range []int{16, 128} {
			b.Run(fmt.Sprintf("%dx%d_%s_%drows", s.k, s.n, s.act, m), func(b *testing.B) {
				w := workspace{}
				c := w.linear(b, linearShape{m, s.n, s.k}, s.outliers, s.act)
				benchmark(b, c, m*s.n*s.k)
			})
			b.Run(fmt.Sprintf("%dx%d_%s_%drows_zero", s.k, s.n, s.act, m), func(b *testing.B) {
				w := workspace{}
				benchmark(b, w.linearZero(b, linearShape{m, s.n, s.k}, s.outliers, s.act), m*s.n*s.k)
			})
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, t := range []int{16, 128, 512} {
		b.Run(fmt.Sprintf("12x32_%dtokens", t), func(b *testing.B) {
			w := workspace{}
			benchmark(b, w.attention(b, 12, 32, []int{t}), 2*12*32*t*t)
		})
	}
}

// BenchmarkAttend is attention with each option, in plain attention's products.
func BenchmarkAttend(b *testing.B) {
	const heads = 2
	for _, t := range []int{16, 128, 512} {
		for _, o := range []AttendOptions{{}, {Bias: true}, {Rotary: true}, {Window: 64, Rotary: true}, {C2P: true, P2C: true}} {
			b.Run(fmt.Sprintf("%dx64%s_%dtokens", heads, o, t), func(b *testing.B) {
				w := workspace{}
				benchmark(b, w.attend(b, heads, 64, o, []int{t}, 512), 2*heads*64*t*t)
			})
		}
	}
}

// BenchmarkActs is the linear to four times the width with each activation.
func BenchmarkActs(b *testing.B) {
	for _, act := range linearActs {
		b.Run(act.String(), func(b *testing.B) {
			w := workspace{}
			benchmark(b, w.linear(b, linearShape{128, 1536, 384}, 1, act), 128*1536*384)
		})
	}
}

// BenchmarkRows are the kernels whose cost is memory and latency, not products.
func BenchmarkRows(b *testing.B) {
	for name, c := range map[string]testCase{
		"embed":    (&workspace{}).embed(b, 128, 384),
		"addnorm":  (&workspace{}).addNorm(b, 128, 384, false),
		"meanpool": (&workspace{}).meanPool(b, 384, []int{128}),
		"norm":     (&workspace{}).norm(b, 128, 384),
		"nonorm":   (&workspace{}).noNorm(b, 128, 384, true),
		"add":      (&workspace{}).add(b, 128, 384),
		"lookup":   (&workspace{}).lookup(b, 3, 128, 384),
		"glu":      (&workspace{}).glu(b, 128, 384, ActGELU),
		"trigram":  (&workspace{}).trigram(b, 128, []int{128}),
		"poolmax":  (&workspace{}).pool(b, PoolMax, 384, []int{128}),
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, c, 128*384) })
	}
}

// BenchmarkLayer is a token's share of a layer of H=256, F=512 on each engine.
func BenchmarkLayer(b *testing.B) {
	const tokens = 12
	var cases []testCase
	for _, s := range []linearShape{{tokens, 768, 256}, {tokens, 256, 256}, {tokens, 512, 256}, {tokens, 256, 512}} {
		act := ActNone
		if s.n == 512 {
			act = ActGELU
		}
		cases = append(cases, (&workspace{}).linear(b, s, 1, act))
	}
	cases = append(cases, (&workspace{}).attention(b, 8, 32, []int{tokens}),
		(&workspace{}).addNorm(b, tokens, 256, false), (&workspace{}).addNorm(b, tokens, 256, false))
	for _, m := range machines(b) {
		b.Run(m.name, func(b *testing.B) {
			var loaded []*instance
			for _, c := range cases {
				i := m.instantiate(b, c.kernel)
				i.memory.Write(0, c.mem)
				loaded = append(loaded, i)
			}
			for b.Loop() {
				for n, c := range cases {
					if err := loaded[n].call(c, 0, c.kernel.Units(c.tokens, c.seqs)); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N)/tokens, "ms/token")
		})
	}
}

// benchmark measures the whole domain in one call, on wazero's compiler and in Go.
func benchmark(b *testing.B, c testCase, macs int) {
	report := func(b *testing.B) {
		b.ReportMetric(float64(macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
	}
	units := c.kernel.Units(c.tokens, c.seqs)
	for _, m := range compilers(machines(b)) {
		b.Run("wasm", func(b *testing.B) {
			i := m.load(b, c.kernel)
			if !i.memory.Write(0, c.mem) {
				b.Fatal("case too large")
			}
			for b.Loop() {
				if err := i.call(c, 0, units); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
	}
	b.Run("go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.kernel.Run(c.mem, 0, uint32(units), c.scratch, c.args)
		}
		report(b)
	})
}

package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// target is one line of what was aimed at.
type target struct {
	What     string `json:"what"`
	Want     string `json:"want"`
	Measured string `json:"measured"` // "-" where this run did not measure it
	Met      *bool  `json:"met"`
}

// evaluate fills the table of targets.
func (r *result) evaluate() {
	fast := r.fastest()
	for _, n := range []int{8, 16, 32, 64, 128, 256} {
		limit := map[bool]float64{true: .65, false: .9}[n <= 16]
		if n == 256 {
			limit = .8
		}
		r.atMost(fmt.Sprintf("wasm, 1 worker, %d tokens, over onnxruntime-web int8", n), limit, r.over(n, "skiff wasm 1", "onnxruntime-web int8 1"))
	}
	for _, n := range []int{8, 16, 32, 64, 128, 256} {
		limit := map[bool]float64{true: .7, false: .75}[n == 256]
		r.atMost(fmt.Sprintf("%s, 1 worker, %d tokens, over onnxruntime int8, 1 thread", fast, n), limit, r.over(n, "skiff "+fast+" 1", "onnxruntime int8 1"))
	}
	r.atLeast("wasm, 2 workers, 128 tokens: times as fast as hugot", 15, r.over(128, "hugot f32 2", "skiff wasm 2"))
	r.atLeast(fast+", 2 workers, 128 tokens: times as fast as hugot", 80, r.over(128, "hugot f32 2", "skiff "+fast+" 2"))
	r.atLeast("wasm, 128 tokens: 2 workers against 1", 1.7, r.over(128, "skiff wasm 1", "skiff wasm 2"))
	r.atLeast(fast+", 128 tokens: 2 workers against 1", 1.7, r.over(128, "skiff "+fast+" 1", "skiff "+fast+" 2"))
	for _, threads := range []string{"1", "2"} {
		r.atLeast(fmt.Sprintf("%s, sentences a second, over onnxruntime int8 sorted, %s threads", fast, threads), 1.3,
			r.sceneOver(corpusName, "skiff "+fast+" "+threads, "onnxruntime int8 "+threads))
	}
	r.atMost("cold process to first answer, over onnxruntime's session and first run: "+fast, .3, r.sceneOver(coldName, "skiff "+fast+" 1", "onnxruntime int8 1"))
	r.atMost("the same: wasm", .3, r.sceneOver(coldName, "skiff wasm 1", "onnxruntime int8 1"))
	for _, k := range []string{fast, "wasm"} {
		r.atMost("peak memory of skiffd, MB: "+k, 60, r.sceneValue(memoryName, "skiff "+k+" 1"))
		r.atMost("heap objects of a call, the result's 2 included: "+k, 2, r.allocs("skiff "+k+" 1"))
	}
	r.rest(fast, "onnxruntime int8 1")
	r.rest("wasm", "onnxruntime-web int8 1")
	r.atLeast("linears, share of the measured peak, real shapes, 128 tokens: "+fast, .6, r.linears(fast))
	r.atLeast("linears, share of the measured peak, real shapes, 128 tokens: wasm", .57, r.linears("wasm"))
}

// fastest is the first set of assembly that was measured; "native" where there is none.
func (r *result) fastest() string {
	for _, p := range r.Peers {
		if k, ok := strings.CutPrefix(p.Name, "skiff "); ok && !strings.HasPrefix(k, "wasm") {
			return strings.TrimSuffix(k, " 1")
		}
	}
	return "native"
}

func (r *result) over(tokens int, a, b string) float64 {
	c := r.find(tokens, 1)
	if c == nil {
		return math.NaN()
	}
	return median(ratios(c.Micros[a], c.Micros[b]))
}

func (r *result) sceneOver(name, a, b string) float64 {
	s := r.scene(name)
	if s == nil {
		return math.NaN()
	}
	return median(ratios(s.Values[a], s.Values[b]))
}

func (r *result) sceneValue(name, peer string) float64 {
	s := r.scene(name)
	if s == nil {
		return math.NaN()
	}
	return median(s.Values[peer])
}

// allocs is the most that any length of one sentence allocated.
func (r *result) allocs(peer string) float64 {
	most := math.NaN()
	for _, c := range r.Cases {
		if v, ok := c.Allocs[peer]; ok && c.Batch == 1 && !(v < most) {
			most = v
		}
	}
	return most
}

// rest is the time of all steps but the linears against the whole time of a peer.
func (r *result) rest(kernels, peer string) {
	value := math.NaN()
	if c := r.find(128, 1); c != nil {
		for _, p := range r.profiles[kernels].Passes {
			if p.Tokens != 128 || p.Batch != 1 {
				continue
			}
			other, all := 0.0, 0.0
			for _, s := range p.Steps {
				all += s.Micros
				if s.Op != "linear" {
					other += s.Micros
				}
			}
			// The share is the profile's, the time the rounds': both of one machine in one hour.
			value = other / all * median(ratios(c.Micros["skiff "+kernels+" 1"], c.Micros[peer]))
		}
	}
	r.atMost(fmt.Sprintf("%s, all but the linears at 128 tokens, over the whole of %s", kernels, peer), .2, value)
}

// linears is the multiply-accumulates of the linears over their time, against the peak.
func (r *result) linears(kernels string) float64 {
	p, ok := r.profiles[kernels]
	if !ok || len(p.Passes) == 0 || p.Peak.GMACs == 0 {
		return math.NaN()
	}
	var macs, us float64
	for _, s := range p.Passes[0].Steps {
		if s.Op == "linear" {
			macs, us = macs+s.MACs, us+s.Micros
		}
	}
	return macs / us / 1e3 / p.Peak.GMACs
}

func (r *result) atMost(what string, limit, value float64) {
	r.judge(what, "<= "+number(limit), value, value <= limit)
}

func (r *result) atLeast(what string, limit, value float64) {
	r.judge(what, ">= "+number(limit), value, value >= limit)
}

func (r *result) judge(what, want string, value float64, met bool) {
	t := target{What: what, Want: want, Measured: ratio(value)}
	if !math.IsNaN(value) {
		t.Met = &met
	}
	r.Targets = append(r.Targets, t)
}

func number(v float64) string { return strings.TrimPrefix(fmt.Sprint(v), "+") }

func (r *result) writeTargets(w io.Writer) {
	fmt.Fprintln(w, "\nTargets")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.Targets {
		state := "not measured"
		if v.Met != nil {
			state = map[bool]string{true: "met", false: "MISSED"}[*v.Met]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", v.What, v.Want, v.Measured, state)
	}
	_ = t.Flush()
}

package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of the chart, in pixels.
const (
	chartWidth  = 940
	chartHeight = 470
	plotLeft    = 70
	plotRight   = 690
	plotTop     = 60
	plotBottom  = 420
)

// colours by what a peer's name begins with; ours are the strong ones.
func colour(name string) string {
	for _, c := range [][2]string{
		{"skiff wasm", "#1f6feb"}, {"skiff", "#d1242f"}, {"onnxruntime-web", "#2da44e"}, {"onnxruntime int8", "#8250df"},
		{"onnxruntime f32", "#a371f7"}, {"hugot", "#9a6700"},
	} {
		if strings.HasPrefix(name, c[0]) {
			return c[1]
		}
	}
	return "#57606a"
}

// plot maps tokens and milliseconds to pixels, both by logarithm.
type plot struct{ minX, maxX, minY, maxY float64 }

func (p plot) x(tokens int) float64 {
	return plotLeft + (math.Log(float64(tokens))-p.minX)/(p.maxX-p.minX)*(plotRight-plotLeft)
}

func (p plot) y(ms float64) float64 {
	return plotBottom - (math.Log(ms)-p.minY)/(p.maxY-p.minY)*(plotBottom-plotTop)
}

// chart draws the median time of one sentence by its length, with the spread as a band.
func (r *result) chart() []byte {
	p, ok := r.scale()
	if !ok {
		return []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>` + "\n")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="12">`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16" font-weight="600">%s: milliseconds of one sentence</text>`+"\n", plotLeft, html.EscapeString(r.Model))
	fmt.Fprintf(&b, `<text x="%d" y="43" fill="#57606a">%s, %d cores, %s; medians of interleaved rounds, bands from the 10th to the 90th percentile</text>`+"\n",
		plotLeft, html.EscapeString(r.CPU), r.Cores, r.Time.Format("2006-01-02"))
	r.drawAxes(&b, p)
	var ends []label
	for _, peer := range r.Peers {
		if end, ok := r.drawPeer(&b, p, peer.Name); ok {
			ends = append(ends, end)
		}
	}
	drawLabels(&b, ends)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// scale spans the lengths and the times.
func (r *result) scale() (plot, bool) {
	p := plot{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for _, c := range r.Cases {
		if c.Batch != 1 {
			continue
		}
		p.minX, p.maxX = math.Min(p.minX, math.Log(float64(c.Tokens))), math.Max(p.maxX, math.Log(float64(c.Tokens)))
		for _, v := range c.Micros {
			if m := median(v); !math.IsNaN(m) {
				p.minY, p.maxY = math.Min(p.minY, math.Log(m/1e3/1.3)), math.Max(p.maxY, math.Log(m/1e3*1.3))
			}
		}
	}
	return p, p.maxX > p.minX && p.maxY > p.minY
}

func (r *result) drawAxes(b *bytes.Buffer, p plot) {
	for decade := -3; decade < 6; decade++ {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, float64(decade))
			if math.Log(v) < p.minY || math.Log(v) > p.maxY {
				continue
			}
			fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d8dee4"/>`, plotLeft, plotRight, p.y(v), p.y(v))
			fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="#57606a">%g</text>`+"\n", plotLeft-8, p.y(v)+4, v)
		}
	}
	for _, c := range r.Cases {
		if c.Batch == 1 {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#57606a">%d</text>`+"\n", p.x(c.Tokens), plotBottom+20, c.Tokens)
		}
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#57606a">tokens</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+40)
}

// drawPeer draws a line and its band; two threads are dashed. It returns where the line
// ends.
func (r *result) drawPeer(b *bytes.Buffer, p plot, name string) (label, bool) {
	var line, upper, lower []string
	end := label{name: name, colour: colour(name)}
	for _, c := range r.Cases {
		v := c.Micros[name]
		if c.Batch != 1 || math.IsNaN(median(v)) {
			continue
		}
		x, y := p.x(c.Tokens), p.y(median(v)/1e3)
		line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
		upper = append(upper, fmt.Sprintf("%.1f,%.1f", x, math.Max(p.y(quantile(v, .9)/1e3), plotTop)))
		lower = append([]string{fmt.Sprintf("%.1f,%.1f", x, p.y(quantile(v, .1)/1e3))}, lower...)
		end.y = y
	}
	if len(line) == 0 {
		return end, false
	}
	width, dash := 1.5, ""
	if strings.HasPrefix(name, "skiff") {
		width = 2.5
	}
	if strings.HasSuffix(name, " 2") {
		dash = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(b, `<polygon points="%s" fill="%s" opacity="0.10"/>`+"\n", strings.Join(append(upper, lower...), " "), end.colour)
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f"%s/>`+"\n", strings.Join(line, " "), end.colour, width, dash)
	return end, true
}

// label is a name beside the end of its line.
type label struct {
	name, colour string
	y            float64
}

// drawLabels puts the names from top to bottom, apart from one another.
func drawLabels(b *bytes.Buffer, ends []label) {
	const apart = 15
	sortLabels(ends)
	below := float64(plotTop)
	for i, l := range ends {
		at := max(l.y, below)
		if room := float64(plotBottom - apart*(len(ends)-1-i)); at > room {
			at = room
		}
		below = at + apart
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s" opacity="0.5"/>`, plotRight, l.y, plotRight+18, at, l.colour)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", plotRight+22, at+4, l.colour, html.EscapeString(threads(l.name)))
	}
}

// threads spells out the number that ends a name.
func threads(name string) string {
	head, n := name[:len(name)-2], name[len(name)-1:]
	if n == "1" {
		return head + ", 1 thread"
	}
	return head + ", " + n + " threads"
}

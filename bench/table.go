package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// write prints the tables.
func (r *result) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s on %s, %d cores, load %.1f at the start, %.0f s\n", r.Model, r.CPU, r.Cores, r.Load, r.Seconds)
	for _, p := range r.Peers {
		fmt.Fprintf(w, "  %-24s %-22s cosine %.4f\n", p.Name, p.Runs, p.Cosine)
	}
	if r.Load > 0.5*float64(r.Cores) {
		fmt.Fprintln(w, "  NOT A QUIET MACHINE: look at ratios alone, and at their spread")
	}
	for _, batch := range []int{1, 32} {
		r.writeBatch(w, batch)
	}
	for _, s := range r.Scenes {
		r.writeScene(w, s)
	}
	r.writeTargets(w)
	for _, m := range r.Missing {
		fmt.Fprintln(w, "NOT MEASURED:", m)
	}
}

// writeBatch prints one row per peer: the median time, its spread, and, of ours, what part
// of each peer's time it is.
func (r *result) writeBatch(w io.Writer, batch int) {
	var cases []measurement
	for _, c := range r.Cases {
		if c.Batch == batch {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 || len(cases[0].Micros) == 0 {
		return
	}
	fmt.Fprintf(w, "\nMilliseconds of a call, batch %d: median (p10-p90)\n", batch)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "tokens\t")
	for _, c := range cases {
		fmt.Fprintf(t, "%d\t", c.Tokens)
	}
	fmt.Fprintln(t)
	for _, p := range r.Peers {
		fmt.Fprintf(t, "%s\t", p.Name)
		for _, c := range cases {
			v := c.Micros[p.Name]
			fmt.Fprintf(t, "%s (%s-%s)\t", ms(median(v)), ms(quantile(v, .1)), ms(quantile(v, .9)))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // to a terminal or a pipe; who does not read it misses it
	fmt.Fprintf(w, "\nTime over a peer's, batch %d: median of the rounds' ratios (p10-p90)\n", batch)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, ours := range r.Peers {
		if !strings.HasPrefix(ours.Name, "skiff") {
			continue
		}
		for _, p := range r.Peers {
			if strings.HasPrefix(p.Name, "skiff") || !sameThreads(ours.Name, p.Name) {
				continue
			}
			fmt.Fprintf(t, "%s over %s\t", ours.Name, p.Name)
			for _, c := range cases {
				v := ratios(c.Micros[ours.Name], c.Micros[p.Name])
				fmt.Fprintf(t, "%s (%s-%s)\t", ratio(median(v)), ratio(quantile(v, .1)), ratio(quantile(v, .9)))
			}
			fmt.Fprintln(t)
		}
	}
	_ = t.Flush()
}

// sameThreads compares the number that ends a name.
func sameThreads(a, b string) bool { return a[len(a)-1] == b[len(b)-1] }

func (r *result) writeScene(w io.Writer, s scene) {
	fmt.Fprintf(w, "\n%s, %s: median (min-max)\n", s.Name, s.Unit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range s.names() {
		v := s.Values[p]
		fmt.Fprintf(t, "%s\t%s\t(%s-%s)\t\n", p, ms(1e3*median(v)), ms(1e3*quantile(v, 0)), ms(1e3*quantile(v, 1)))
	}
	_ = t.Flush()
}

// ms prints microseconds as milliseconds with three digits.
func ms(us float64) string {
	v := us / 1e3
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 1:
		return fmt.Sprintf("%.3f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func ratio(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 0.1:
		return fmt.Sprintf("%.3f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

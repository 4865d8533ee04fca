package main

import (
	"cmp"
	"slices"
	"strings"
)

// loop is a loop that holds no other, and the costs of one round of it.
type loop struct {
	from, to                int // bytes [from, to)
	instructions            int
	products                int // multiplications of vectors
	frameLoads, frameStores int
	checks                  int // of bounds, or of other faults
	loads, stores           int // of memory but the frame
}

// findLoops is the innermost loops, in the order of the code.
func findLoops(code []instruction) []loop {
	ends := map[int]int{} // of the code from the place a jump goes back to
	for _, i := range code {
		if i.target >= 0 && i.target <= i.at {
			ends[i.target] = max(ends[i.target], i.at+i.size)
		}
	}
	var out []loop
	for from, to := range ends {
		holds := false
		for other := range ends {
			holds = holds || other > from && other < to
		}
		if !holds {
			out = append(out, loop{from: from, to: to})
		}
	}
	slices.SortFunc(out, func(a, b loop) int { return cmp.Compare(a.from, b.from) })
	for n := range out {
		out[n].count(code)
	}
	return out
}

// count goes through a round. A jump over code that ends in a return is a check: the code
// is for the fault.
func (l *loop) count(code []instruction) {
	for n := 0; n < len(code); n++ {
		i := code[n]
		if i.at < l.from || i.at >= l.to {
			continue
		}
		l.add(i)
		if i.target > i.at && !i.always && i.target <= l.to {
			if past := around(code, n); past > 0 {
				l.checks++
				n = past - 1
			}
		}
	}
}

// around is the index of the jump's target, when what it jumps over ends in a fault; or 0.
func around(code []instruction, jump int) int {
	for n := jump + 1; n < len(code); n++ {
		if code[n].at == code[jump].target {
			if code[n-1].ends {
				return n
			}
			return 0
		}
		if code[n].target >= 0 {
			return 0
		}
	}
	return 0
}

func (l *loop) add(i instruction) {
	l.instructions++
	if product(i) {
		l.products++
	}
	if i.load && i.stack {
		l.frameLoads++
	} else if i.load {
		l.loads++
	}
	if i.store && i.stack {
		l.frameStores++
	} else if i.store {
		l.stores++
	}
}

// product says whether the instruction multiplies vectors: of int16 by amd64's PMADDWD or
// the first of arm64's SMULL and SMULL2, or of float32.
func product(i instruction) bool {
	switch i.op {
	case "PMADDWD", "MULPS", "SMULL":
		return true
	}
	return i.op == "FMUL" && strings.Contains(i.text, ".4S")
}

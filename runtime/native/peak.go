package native

import "time"

// Instruction is one that multiplies int8 or int16 and adds, as often as a core can.
type Instruction struct {
	Name   string
	macs   float64             // multiply-accumulates of a round
	rounds func(rounds uint64) // multiplies
}

// Peak is the instruction that the set's linears multiply with; false where this build
// cannot measure it.
func (s *Set) Peak() (Instruction, bool) { return s.peak, s.peak.rounds != nil }

// WasmPeak is the instruction that wazero makes of i32x4.dot_i16x8_s; false where this build
// cannot measure it.
func WasmPeak() (Instruction, bool) {
	p := wasmPeak()
	return p, p.rounds != nil
}

// Measure is the most multiply-accumulates a second that one core does with the instruction:
// the best of some tries of a millisecond, since anything else on the core takes away.
func (p Instruction) Measure() float64 {
	const tries, rounds = 30, 100_000
	best := 0.0
	for range tries {
		begin := time.Now()
		p.rounds(rounds)
		best = max(best, p.macs*rounds/time.Since(begin).Seconds())
	}
	return best
}

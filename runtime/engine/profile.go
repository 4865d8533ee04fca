package engine

import "time"

// Spent is what the calls of one step took, all workers together.
type Spent struct {
	Calls int
	Time  time.Duration
}

// Meter sums up what a traced machine's kernels take: Traced(meter.Add). It is for one
// machine, and not to be read during a Run.
type Meter struct {
	workers [][]Spent // by worker, so that none waits for another
}

// NewMeter is a meter of this machine's steps.
func (m *Machine) NewMeter() *Meter {
	t := &Meter{workers: make([][]Spent, m.Most())}
	for i := range t.workers {
		t.workers[i] = make([]Spent, len(m.prog.Steps))
	}
	return t
}

// Add counts one call of a kernel: it is a Trace.
func (t *Meter) Add(worker, step, _, _ int, d time.Duration) {
	s := &t.workers[worker][step]
	s.Calls++
	s.Time += d
}

// Take returns what was counted, by step, and begins anew.
func (t *Meter) Take() []Spent {
	out := make([]Spent, len(t.workers[0]))
	for _, steps := range t.workers {
		for i := range steps {
			out[i].Calls += steps[i].Calls
			out[i].Time += steps[i].Time
			steps[i] = Spent{}
		}
	}
	return out
}

package core

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"skiff/formats/wire"
)

// TestRandom feeds events in any order, with restarts in between, and checks after each what must always hold (see invariants). Then the
// world turns good, and the device must end up serving what is wished.
func TestRandom(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		p := newPlayer(t)
		p.command([]string{"boot"})
		w := &world{player: p, r: r}
		for range 300 {
			w.anything()
			p.trace = nil
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		w.mend()
		if a := p.state.Stored.Active; a == nil || p.names[a.Digest] != "b9" || p.names[p.state.Serving] != "b9" {
			t.Fatalf("seed %d: ends with %+v, serving %s", seed, p.state.Stored, p.names[p.state.Serving])
		}
	}
}

// world answers what the device does, or does not.
type world struct {
	*player
	r       *rand.Rand
	session int
	counter int
}

func (w *world) do(format string, args ...any) {
	w.at = w.at.Add(time.Duration(w.r.IntN(3000)) * time.Millisecond)
	w.command(strings.Fields(fmt.Sprintf(format, args...)))
}

// anything is one random event, plausible or not.
func (w *world) anything() {
	b := fmt.Sprintf("b%d", 1+w.r.IntN(4))
	switch w.r.IntN(16) {
	case 0:
		w.session++
		w.do("connect session=%d", w.session)
	case 1:
		w.do("disconnect")
	case 2:
		w.do("ack session=%d seq=%d hello=yes", w.session, w.r.IntN(20))
	case 3:
		w.counter += w.r.IntN(2)
		w.do("desired counter=%d bundle=%s", w.counter, b)
	case 4:
		w.do("desired device=dev-1 counter=%d bundle=%s", w.counter+w.r.IntN(2), b)
	case 5:
		w.do("desired device=dev-1 counter=%d override=no", w.counter+1)
	case 6:
		w.do("boot")
	case 7:
		w.do("busy request=%d after=100", w.r.IntN(9))
	case 8:
		w.do("failed retry store full")
	case 9, 10:
		w.do("tick")
	default:
		w.answer(b, w.r.IntN(8) == 0)
	}
}

// answer ends the job under way, or moves the transfer.
func (w *world) answer(b string, bad bool) {
	j := w.state.Job
	name := w.names[j.Digest]
	outcome := "ok"
	if bad {
		outcome = []string{"retry disk", "reject corrupt", "refuse not here", "rollback bits differ"}[w.r.IntN(4)]
	}
	switch {
	case j.Kind == Look && bad:
		w.do("result look %s %s", name, outcome)
	case j.Kind == Look && w.r.IntN(2) == 0:
		w.do("survey %s chunks 0:90000 1:90000 5:90000 release=1", name)
	case j.Kind == Look:
		w.do("survey %s chunks release=1", name)
	case j.Kind != 0:
		w.do("result %s %s %s", nameOf(jobs, j.Kind), name, outcome)
	default:
		i := []int{0, 1, 5, 7}[w.r.IntN(4)]
		if bad {
			w.do("spoiled chunks %d", i)
			return
		}
		w.do("arrived %d request=%d", i, w.r.IntN(9))
		if w.r.IntN(2) == 0 {
			w.do("committed chunks %d", i)
		}
	}
}

// mend wishes for a good bundle, with a counter above all others, and answers everything well.
func (w *world) mend() {
	w.do("desired device=dev-1 counter=1000 override=no")
	w.do("desired counter=1000 bundle=b9")
	for range 200 {
		j := w.state.Job
		switch {
		case j.Kind == Look:
			w.do("survey %s chunks release=1", w.names[j.Digest])
		case j.Kind != 0:
			w.do("result %s %s ok", nameOf(jobs, j.Kind), w.names[j.Digest])
		case w.state.Stored.Phase == wire.StateActive && w.names[w.state.Serving] == "b9":
			return
		default:
			w.at = w.at.Add(lastBackoff)
			w.do("tick")
		}
	}
}

// TestWindow: full windows double it up to the ceiling, a loss halves it, a cut halves what is remembered; a slow link bounds it by its
// own rate.
func TestWindow(t *testing.T) {
	at := time.Unix(0, 0)
	fast := newWindow(0)
	fast.roundTrip(10 * time.Millisecond)
	for range 200 {
		at = at.Add(10 * time.Millisecond) // 10 MB/s
		fast.delivered(100<<10, at)
	}
	if fast.size != maxWindow {
		t.Errorf("fast link: window %d, want %d", fast.size, maxWindow)
	}
	fast.lost()
	if fast.size != maxWindow/2 || fast.ceiling != maxWindow/2 {
		t.Errorf("after a loss: %d of %d", fast.size, fast.ceiling)
	}
	fast.cut()
	fast.cut()
	if fast.ceiling != maxWindow/8 || fast.size > fast.ceiling {
		t.Errorf("after two cuts: %d of %d", fast.size, fast.ceiling)
	}
	if again := newWindow(fast.ceiling); again.ceiling != fast.ceiling {
		t.Errorf("remembered ceiling %d, want %d", again.ceiling, fast.ceiling)
	}
	slow := newWindow(0)
	slow.roundTrip(100 * time.Millisecond)
	for range 100 {
		at = at.Add(100 * time.Millisecond) // 1 MB/s
		slow.delivered(100<<10, at)
	}
	if bound := 600 << 10; slow.size > bound+bound/10 {
		t.Errorf("slow link: window %d, want about %d", slow.size, bound)
	}
	for range 20 {
		slow.lost()
	}
	if slow.size != minWindow {
		t.Errorf("smallest window %d, want %d", slow.size, minWindow)
	}
}

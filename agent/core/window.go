package core

import "time"

// Window limits, in encoded bytes in flight.
const (
	minWindow   = 128 << 10 // one piece and its header
	startWindow = 256 << 10
	maxWindow   = 2 << 20
	stepWindow  = 64 << 10 // additive rise past the ceiling

	queueing = 500 * time.Millisecond // standing queue allowed beside the round trip
)

// window is the flow control of a transfer: bytes in flight rise by doubling up to a remembered ceiling, then in steps, and halve on a
// loss. They stay below the delivered rate times the shortest round trip and half a second: a longer queue makes brokers drop the
// message or the device, and keep-alives time out behind it.
type window struct {
	size, ceiling int

	acked    int // bytes delivered since the size last rose
	rate     float64
	measured time.Time // start of the rate sample
	sample   int
	shortest time.Duration // round trip
	smoothed time.Duration
}

func newWindow(ceiling int) window {
	if ceiling == 0 {
		ceiling = maxWindow
	}
	ceiling = min(max(ceiling, minWindow), maxWindow)
	return window{size: min(startWindow, ceiling), ceiling: ceiling}
}

// delivered counts n bytes that arrived at a time, and grows after each full window without loss.
func (w *window) delivered(n int, at time.Time) {
	w.measure(n, at)
	w.acked += n
	if w.acked < w.size {
		return
	}
	w.acked = 0
	if w.size >= w.ceiling {
		w.ceiling = min(w.ceiling+stepWindow, maxWindow)
	}
	w.size = min(2*w.size, w.ceiling)
	if w.rate > 0 {
		bound := int(w.rate * (w.shortest + queueing).Seconds())
		w.size = min(w.size, max(bound, startWindow))
	}
}

// measure keeps the delivered rate over samples of a quarter second or more.
func (w *window) measure(n int, at time.Time) {
	if w.measured.IsZero() {
		w.measured = at
		return // bytes before the first mark have no duration
	}
	w.sample += n
	span := at.Sub(w.measured)
	if span < 250*time.Millisecond {
		return
	}
	rate := float64(w.sample) / span.Seconds()
	if w.rate == 0 {
		w.rate = rate
	}
	w.rate += 0.3 * (rate - w.rate)
	w.measured, w.sample = at, 0
}

// roundTrip takes one measured time from a request to its first piece.
func (w *window) roundTrip(d time.Duration) {
	if w.shortest == 0 || d < w.shortest {
		w.shortest = d
	}
	if w.smoothed == 0 {
		w.smoothed = d
	}
	w.smoothed += (d - w.smoothed) / 8
}

// timeout is how long a request may be without a piece.
func (w *window) timeout() time.Duration {
	return min(max(2*time.Second, 4*w.smoothed), 30*time.Second)
}

// lost halves after a timeout.
func (w *window) lost() {
	w.size = max(w.size/2, minWindow)
	w.ceiling = max(w.size, startWindow)
	w.idle()
}

// cut halves the remembered ceiling after a disconnect in mid-transfer: some brokers cut a slow consumer off.
func (w *window) cut() {
	w.ceiling = max(w.ceiling/2, minWindow)
	w.size = min(w.size, w.ceiling)
	w.idle()
}

// idle forgets the running sample: time without requests says nothing about the link.
func (w *window) idle() { w.acked, w.sample, w.measured = 0, 0, time.Time{} }

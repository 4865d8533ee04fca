package delivery

import "time"

// pacer spaces messages so that a device gets rate bytes per second and no bursts. The
// zero rate lets everything through. Not for concurrent use.
type pacer struct {
	rate int       // bytes per second
	next time.Time // when the next message may go
}

// reserve returns how long to wait before a message of n bytes, and counts it as sent then.
func (p *pacer) reserve(now time.Time, n int) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return wait
}

// debt is how long the messages sent so far use up the pace.
func (p *pacer) debt(now time.Time) time.Duration { return max(0, p.next.Sub(now)) }

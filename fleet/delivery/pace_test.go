package delivery

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	start := time.Unix(100, 0)
	p := pacer{rate: 1000}
	for _, tt := range []struct {
		after time.Duration // since start
		n     int
		wait  time.Duration
	}{
		{0, 500, 0},
		{0, 250, 500 * time.Millisecond},
		{100 * time.Millisecond, 250, 650 * time.Millisecond},
		{10 * time.Second, 1000, 0}, // an idle time is not saved up
		{10 * time.Second, 1, time.Second},
	} {
		if got := p.reserve(start.Add(tt.after), tt.n); got != tt.wait {
			t.Errorf("at %v: wait %v, want %v", tt.after, got, tt.wait)
		}
	}
	if got := p.debt(start.Add(10 * time.Second)); got != 1001*time.Millisecond {
		t.Errorf("debt %v", got)
	}
	if got := (&pacer{}).reserve(start, 1<<30); got != 0 {
		t.Errorf("no pace waits %v", got)
	}
}

// Package line is what the benchmark and the processes that it measures say to each other:
// one JSON object per line, a request in, an answer out.
//
// A peer starts, says {"ready":true}, and answers requests until its input ends. Times are
// taken by the peer around the call alone, so neither pipes nor JSON count. Peers in other
// languages (folder peers) speak the same.
package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Request is one thing to do. Texts and IDs are the same sentences; a peer takes those it
// understands.
type Request struct {
	Op     string    `json:"op"`
	Texts  []string  `json:"texts,omitempty"`
	IDs    [][]int32 `json:"ids,omitempty"`
	Micros int       `json:"us,omitempty"`    // time to spend, in microseconds
	Count  int       `json:"count,omitempty"` // words to list
	Second *Request  `json:"second,omitempty"`
}

// Answer is what came of it.
type Answer struct {
	Ready   bool        `json:"ready,omitempty"`
	Error   string      `json:"error,omitempty"`
	Kernels string      `json:"kernels,omitempty"` // what runs
	Micros  float64     `json:"us,omitempty"`      // of one call: the median
	P90     float64     `json:"p90_us,omitempty"`  // of one call
	Calls   int         `json:"calls,omitempty"`   // that were timed
	Allocs  *float64    `json:"allocs,omitempty"`  // heap objects per call
	Seconds float64     `json:"seconds,omitempty"` // of a whole corpus
	Start   float64     `json:"start_us,omitempty"`
	Vectors [][]float32 `json:"vectors,omitempty"`
	Words   []string    `json:"words,omitempty"`
	IDs     [][]int32   `json:"ids,omitempty"`
	Others  int         `json:"others,omitempty"` // calls of the second stream meanwhile
}

// Serve says that the process is ready and answers requests until in ends.
func Serve(in io.Reader, out io.Writer, hello Answer, do func(Request) (Answer, error)) error {
	enc, dec := json.NewEncoder(out), json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	hello.Ready = true
	if err := enc.Encode(hello); err != nil {
		return err
	}
	for {
		var r Request
		if err := dec.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		a, err := do(r)
		if err != nil {
			a = Answer{Error: err.Error()}
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
}

// Time calls f for about so many microseconds, at least three times after one that warms
// caches; a call that alone takes longer counts itself.
func Time(micros int, f func() error) (Answer, error) {
	budget := time.Duration(micros) * time.Microsecond
	start := time.Now()
	if err := f(); err != nil {
		return Answer{}, err
	}
	if d := time.Since(start); d > budget {
		return Answer{Micros: us(d), Calls: 1}, nil
	}
	var all []time.Duration
	for start = time.Now(); len(all) < 3 || time.Since(start) < budget; {
		t := time.Now()
		if err := f(); err != nil {
			return Answer{}, err
		}
		all = append(all, time.Since(t))
	}
	slices.Sort(all)
	return Answer{Micros: us(all[len(all)/2]), P90: us(all[len(all)*9/10]), Calls: len(all)}, nil
}

// Beside is Time of first while second is called over and over by another goroutine.
func Beside(micros int, first, second func() error) (Answer, error) {
	var stop atomic.Bool
	var group sync.WaitGroup
	var others int
	var failed error
	group.Go(func() {
		for !stop.Load() && failed == nil {
			failed = second()
			others++
		}
	})
	a, err := Time(micros, first)
	stop.Store(true)
	group.Wait()
	if err == nil {
		err = failed
	}
	a.Others = others
	return a, err
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

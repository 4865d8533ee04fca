package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// series is one value per round; NaN where there was none, null in JSON.
type series []float64

// MarshalJSON writes null for what is not a number.
func (s series) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(s))
	for i, v := range s {
		if !math.IsNaN(v) {
			out[i] = &s[i]
		}
	}
	return json.Marshal(out)
}

// result is a run, as results.json has it. All times are microseconds unless a name says
// otherwise; memory is bytes.
type result struct {
	Model   string        `json:"model"`
	Real    bool          `json:"real"` // false: the built-in model
	Time    time.Time     `json:"time"`
	Seconds float64       `json:"seconds"` // of the whole run
	CPU     string        `json:"cpu"`
	Cores   int           `json:"cores"`
	Load    float64       `json:"load"` // of the machine as the run began
	Peers   []peerInfo    `json:"peers"`
	Missing []string      `json:"missing,omitempty"` // what could not be measured, and why
	Cases   []measurement `json:"cases"`
	Scenes  []scene       `json:"scenes"`
	Targets []target      `json:"targets"`

	profiles map[string]profile // of skiff bench, by kernels
}

type peerInfo struct {
	Name   string  `json:"name"`
	Runs   string  `json:"runs"`
	Cosine float64 `json:"cosine"` // of one answer, to the first peer's
}

// measurement is one length and batch: microseconds of a call, by peer and round.
type measurement struct {
	Tokens int                `json:"tokens"`
	Batch  int                `json:"batch"`
	Micros map[string]series  `json:"us"`
	Allocs map[string]float64 `json:"allocs,omitempty"` // heap objects of a call, of skiff
}

// scene is something else that was measured, by peer and round.
type scene struct {
	Name   string            `json:"name"`
	Unit   string            `json:"unit"`
	More   bool              `json:"more"` // more is better
	Values map[string]series `json:"values"`
}

// profile is what this program reads of skiff bench --json.
type profile struct {
	Passes []struct {
		Tokens int     `json:"tokens"`
		Batch  int     `json:"batch"`
		Micros float64 `json:"us"`
		Steps  []struct {
			Op     string  `json:"op"`
			Micros float64 `json:"us"`
			Share  float64 `json:"of_peak"`
			MACs   float64 `json:"macs"`
		} `json:"steps"`
	} `json:"passes"`
	Peak struct {
		GMACs float64 `json:"gmacs"`
	} `json:"peak"`
}

func newResult(m model) result {
	return result{
		Model: m.name, Real: m.real, Time: time.Now().UTC().Truncate(time.Second), CPU: cpu(), Cores: runtime.NumCPU(), Load: load(),
		profiles: map[string]profile{},
	}
}

// cpu names the processor.
func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// load is how many others want the processors; NaN is not for JSON, so unknown is 0.
func load() float64 {
	var l float64
	text, _ := os.ReadFile("/proc/loadavg")
	_, _ = fmt.Sscan(string(text), &l)
	return l
}

// find is the measurement of a length and batch.
func (r *result) find(tokens, batch int) *measurement {
	for i := range r.Cases {
		if r.Cases[i].Tokens == tokens && r.Cases[i].Batch == batch {
			return &r.Cases[i]
		}
	}
	return nil
}

// scene is the one of a name.
func (r *result) scene(name string) *scene {
	for i := range r.Scenes {
		if r.Scenes[i].Name == name {
			return &r.Scenes[i]
		}
	}
	return nil
}

// save writes results.json and chart.svg.
func (r *result) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "chart.svg"), r.chart(), 0o644)
}

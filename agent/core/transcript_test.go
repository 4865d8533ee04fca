package core

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/wire"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts runs every file of testdata: commands, "----", and the trace that Step answers with. A changed decision is a
// changed line of a file that a reader can follow. Lines of a trace: "phase" when it moved, then the effects in order.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(data), got); d != "" {
				t.Errorf("trace differs (run with -update to accept):\n%s", d)
			}
		})
	}
}

// play runs the blocks of a transcript and returns it with the traces that came out.
func play(t *testing.T, text string) string {
	p := newPlayer(t)
	var out []string
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		commands, _, ok := strings.Cut(block+"\n", "----\n")
		if !ok {
			out = append(out, block) // a remark
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
			if !strings.HasPrefix(line, "#") {
				p.command(strings.Fields(line))
			}
		}
		out = append(out, strings.TrimSpace(commands)+"\n----\n"+p.take())
	}
	return strings.Join(out, "\n\n") + "\n"
}

func newPlayer(t *testing.T) *player {
	p := &player{t: t, at: time.Unix(1_800_000_000, 0), names: map[bundle.Digest]string{{}: "none"}}
	p.state.ID = Identity{Device: "dev-1", Product: "demo", Channel: "stable", Slot: "default"}
	return p
}

type player struct {
	t     *testing.T
	state State
	disk  Stored // what the last Persist wrote
	at    time.Time
	names map[bundle.Digest]string
	trace []string
}

func (p *player) take() string {
	if len(p.trace) == 0 {
		return "(nothing)"
	}
	s := strings.Join(p.trace, "\n")
	p.trace = nil
	return s
}

// digest names a bundle: the digest of its name.
func (p *player) digest(name string) bundle.Digest {
	if name == "none" {
		return bundle.Digest{}
	}
	d := bundle.Sum([]byte(name))
	p.names[d] = name
	return d
}

func (p *player) command(f []string) {
	args := map[string]string{}
	var plain []string
	for _, a := range f[1:] {
		if k, v, ok := strings.Cut(a, "="); ok {
			args[k] = v
		} else {
			plain = append(plain, a)
		}
	}
	switch f[0] {
	case "boot":
		p.state = State{ID: p.state.ID}
		p.reload()
		p.step(Boot{p.disk})
	case "wait":
		d, err := time.ParseDuration(plain[0])
		if err != nil {
			p.t.Fatal(err)
		}
		p.wait(d)
	case "identity":
		p.state.ID.TrustsFleet = args["trusts"] == "fleet"
	default:
		p.step(p.event(f[0], plain, args))
	}
}

// reload proves that what was persisted survives its encoding.
func (p *player) reload() {
	data, err := json.Marshal(p.disk)
	if err != nil {
		p.t.Fatal(err)
	}
	var back Stored
	if err := json.Unmarshal(data, &back); err != nil {
		p.t.Fatal(err)
	}
	p.disk = back
}

// wait lets time pass, with a Tick at every moment the state asks for.
func (p *player) wait(d time.Duration) {
	end := p.at.Add(d)
	for range 1000 {
		wake := p.state.Wake()
		if wake.IsZero() || wake.After(end) {
			p.at = end
			return
		}
		if wake.After(p.at) {
			p.at = wake
		}
		p.trace = append(p.trace, fmt.Sprintf("at %v", p.at.Sub(time.Unix(1_800_000_000, 0)).Round(100*time.Millisecond)))
		p.step(Tick{})
	}
	p.t.Fatal("the state asks for ticks without end")
}

func (p *player) event(verb string, plain []string, args map[string]string) Body {
	switch verb {
	case "connect":
		return Connected{Session: p.number(args["session"])}
	case "disconnect":
		return Disconnected{}
	case "tick":
		return Tick{}
	case "ack":
		a := Acked{Session: p.number(args["session"]), Seq: p.number(args["seq"]), ForHello: args["hello"] != "", Time: int64(p.number(args["time"]))}
		if k := args["key"]; k != "" {
			a.FleetKey = []byte(k)
		}
		return a
	case "desired":
		return p.desired(args)
	case "survey":
		return p.survey(plain, args)
	case "arrived":
		return Arrived{wire.Chunks, uint32(p.number(plain[0])), uint32(p.number(args["request"]))}
	case "committed":
		c := Committed{Kind: kinds[plain[0]]}
		for _, i := range plain[1:] {
			c.Indexes = append(c.Indexes, uint32(p.number(i)))
		}
		return c
	case "spoiled":
		return Spoiled{kinds[plain[0]], uint32(p.number(plain[1])), "digest differs"}
	case "busy":
		ms := time.Duration(p.number(args["after"])) * time.Millisecond
		return ServerError{Request: uint32(p.number(args["request"])), Reason: "busy", RetryAfter: ms}
	case "failed":
		return Failed{p.failure(plain)}
	case "result":
		return Result{Job: Job{jobs[plain[0]], p.digest(plain[1])}, Failure: p.failure(plain[2:]), Kernels: "wasm"}
	}
	p.t.Fatalf("unknown command %q", verb)
	return nil
}

var (
	kinds   = map[string]wire.Kind{"envelope": wire.Envelope, "index": wire.Index, "chunks": wire.Chunks}
	jobs    = map[string]JobKind{"look": Look, "verify": Verify, "prove": Prove, "load": Load}
	classes = map[string]wire.Class{"retry": wire.ClassRetry, "reject": wire.ClassReject, "refuse": wire.ClassRefuse,
		"rollback": wire.ClassRollback, "halt": wire.ClassHalt}
)

func nameOf[V comparable](m map[string]V, v V) string {
	for name, x := range m {
		if x == v {
			return name
		}
	}
	return fmt.Sprint(v)
}

func (p *player) number(s string) uint64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// failure reads "ok" or a class and a reason.
func (p *player) failure(words []string) Failure {
	if words[0] == "ok" {
		return Failure{}
	}
	return Failure{classes[words[0]], strings.Join(words[1:], " ")}
}

func (p *player) desired(args map[string]string) Body {
	d := wire.Desired{Product: "demo", Audience: wire.Audience{Kind: wire.AudienceChannel, ID: "stable"}, Counter: p.number(args["counter"])}
	if v, ok := args["product"]; ok {
		d.Product = v
	}
	if v, ok := args["channel"]; ok {
		d.Audience.ID = v
	}
	if v, ok := args["device"]; ok {
		d.Audience = wire.Audience{Kind: wire.AudienceDevice, ID: v}
	}
	if v, ok := args["expires"]; ok {
		d.Expires = 1_800_000_000 + int64(p.number(v))
	}
	if v, ok := args["recalled"]; ok {
		d.Recalled = []bundle.Digest{p.digest(v)}
	}
	d.NoOverride = args["override"] == "no"
	if v, ok := args["bundle"]; ok {
		d.Slots = []wire.Slot{{Name: "default", Bundle: p.digest(v), EnvelopeLength: 5000, Floor: p.number(args["floor"])}}
	}
	return Desired{d, bundle.Sum(fmt.Append(nil, args))}
}

// survey reads "survey b1 chunks 0:1000 1:2000 release=3".
func (p *player) survey(plain []string, args map[string]string) Body {
	s := Survey{Digest: p.digest(plain[0]), Kind: kinds[plain[1]], Total: 300_000}
	for _, piece := range plain[2:] {
		index, size, _ := strings.Cut(piece, ":")
		s.Pieces = append(s.Pieces, Piece{Index: uint32(p.number(index)), Size: int(p.number(size))})
	}
	if s.Kind != wire.Envelope {
		s.Facts = &Facts{Name: "mini", Version: "1." + args["release"], Product: "demo", Release: p.number(args["release"]), Misfit: args["misfit"]}
		if v, ok := args["product"]; ok {
			s.Facts.Product = v
		}
		if v, ok := args["channels"]; ok {
			s.Facts.Channels = strings.Split(v, ",")
		}
	}
	return s
}

// step applies an event, writes the trace, and checks what must hold after every Step.
func (p *player) step(b Body) {
	before := p.state.Stored.Phase
	var effects []Effect
	p.state, effects = Step(p.state, Event{At: p.at, Body: b})
	if after := p.state.Stored.Phase; after != before {
		p.trace = append(p.trace, "phase "+after.String())
	}
	for i, e := range effects {
		if s, ok := e.(Persist); ok {
			if i != 0 {
				p.t.Errorf("Persist is effect %d of %T", i, b)
			}
			p.disk = s.Stored
		}
		p.trace = append(p.trace, p.show(e))
	}
	p.invariants()
}

func (p *player) invariants() {
	s := &p.state
	if s.Serving != (bundle.Digest{}) && s.Stored.Active == nil {
		p.t.Error("serves without an active pointer")
	}
	if s.Serving != (bundle.Digest{}) && s.Job.Kind != Load && s.Stored.Active.Digest != s.Serving {
		p.t.Errorf("serves %s, active is %s", p.names[s.Serving], p.names[s.Stored.Active.Digest])
	}
	flying := 0
	for _, piece := range s.Transfer.Pieces {
		if piece.state == asked {
			flying += piece.charge()
		}
	}
	if flying != s.Transfer.flying {
		p.t.Errorf("%d bytes in flight, %d counted", flying, s.Transfer.flying)
	}
	a, b := p.disk, s.Stored.clone()
	if d := cmp.Diff(a.Active, b.Active); d != "" {
		p.t.Errorf("pointer moved without Persist:\n%s", d)
	}
	if a.Channel.Counter != b.Channel.Counter || a.Device.Counter != b.Device.Counter || !slices.Equal(a.FleetKey, b.FleetKey) {
		p.t.Error("counter or pinned key not persisted")
	}
}

// show writes one effect as one line.
func (p *player) show(e Effect) string {
	switch e := e.(type) {
	case Persist:
		return "> persist" + p.persisted(e.Stored)
	case Job:
		return fmt.Sprintf("> %s %s", nameOf(jobs, e.Kind), p.names[e.Digest])
	case Request:
		return fmt.Sprintf("> request %d %s %s %v credit=%d", e.ID, p.names[e.Digest], nameOf(kinds, e.Kind), e.Indexes, e.Credit)
	case Hello:
		return fmt.Sprintf("> hello seq=%d counter=%d active=%s", e.Hello.Seq, e.Hello.Counter, p.names[e.Hello.Slots[0].Active])
	case Report:
		s := e.Status.Slots[0]
		line := fmt.Sprintf("> status seq=%d %s bundle=%s active=%s", e.Status.Seq, s.State, p.names[s.Bundle], p.names[s.Active])
		if s.Total > 0 {
			line += fmt.Sprintf(" %d/%d", s.Done, s.Total)
		}
		if s.Class != 0 {
			line += fmt.Sprintf(" %s: %s", s.Class, s.Reason)
		}
		return line
	case Serve:
		return "> serve " + p.names[e.Digest]
	case Drop:
		return "> drop " + p.names[e.Digest]
	case Collect:
		var keep []string
		for _, d := range e.Keep {
			keep = append(keep, p.names[d])
		}
		return "> collect keep=" + strings.Join(keep, ",")
	case Trust:
		return fmt.Sprintf("> trust %s", e.FleetKey)
	case Halt:
		return "> halt: " + e.Reason
	}
	return fmt.Sprintf("> unknown %T", e)
}

func (p *player) persisted(s Stored) string {
	line := " " + strings.ReplaceAll(s.Phase.String(), " ", "-")
	if s.Active != nil {
		line += " active=" + p.names[s.Active.Digest]
	}
	if s.Previous != nil {
		line += " previous=" + p.names[s.Previous.Digest]
	}
	if s.Starts > 0 {
		line += fmt.Sprintf(" starts=%d", s.Starts)
	}
	if s.Trial.Count > 0 {
		line += fmt.Sprintf(" trial=%s:%d", p.names[s.Trial.Digest], s.Trial.Count)
	}
	for _, q := range s.Quarantine {
		line += " quarantined=" + p.names[q.Digest]
	}
	return line
}

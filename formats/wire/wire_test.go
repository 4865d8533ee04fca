package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/formats/bundle"
	"skiff/formats/canon"
	"skiff/formats/sign"
)

var update = flag.Bool("update", false, "write golden files that do not exist yet; existing ones are kept for ever")

func fleetKey() sign.Private { return sign.FromSeed([32]byte{4, 5, 6}) }

func digest(s string) bundle.Digest { return bundle.Sum([]byte(s)) }

// message is any message with its parser.
type message struct {
	name  string
	value interface{ Encode() ([]byte, error) }
	parse func(data []byte) (interface{ Encode() ([]byte, error) }, error)
}

func parser[T interface{ Encode() ([]byte, error) }](parse func([]byte) (T, error)) func([]byte) (interface{ Encode() ([]byte, error) }, error) {
	return func(data []byte) (interface{ Encode() ([]byte, error) }, error) {
		m, err := parse(data)
		return m, err
	}
}

// messages has one full message of each kind, and one with no more than it needs.
func messages() []message {
	slot := Slot{Name: "default", Bundle: digest("b"), ManifestLength: 1000, EnvelopeLength: 1112, Floor: 3}
	status := SlotStatus{
		Slot: "default", State: StateFetching, Bundle: digest("b"), Active: digest("a"), Class: ClassRetry, ActiveName: "mini",
		ActiveVersion: "1.0", Done: 10, Total: 20, Reason: "broker is down", Refetched: 5,
	}
	hello := Hello{
		Session: 1 << 60, Seq: 1, Nonce: [16]byte{1, 2}, Device: "dev-1", Product: "default", Channel: "stable", Agent: "skiffd 0.1",
		Counter: 7, Own: 2, Slots: []Holding{{Slot: "default", Active: digest("a"), Previous: digest("p")}}, Kernels: "wasm", CPU: "amd64",
	}
	desired := Desired{
		Product: "default", Audience: Audience{AudienceChannel, "stable"}, Counter: 9, Expires: 1 << 31, KeyID: fleetKey().ID(),
		Slots: []Slot{slot}, Recalled: []bundle.Digest{digest("r")},
	}
	ack := Ack{Session: 1, Seq: 2, Time: []byte("sealed"), FleetKey: [32]byte{1}, Permits: [][]byte{[]byte("p")}}
	request := Request{Session: 1, ID: 5, Bundle: digest("b"), Kind: Chunks, First: 64, Bitmap: Bitmap{0xff, 1}, Credit: 1 << 18}
	return []message{
		{"hello", hello, parser(ParseHello)},
		{"hello-least", Hello{Session: 1, Device: "d", Product: "p", Channel: "c"}, parser(ParseHello)},
		{"status", Status{Session: 1, Seq: 3, Version: 9, Device: "dev-1", Offline: true, Slots: []SlotStatus{status}}, parser(ParseStatus)},
		{"status-least", Status{Session: 1, Device: "d", Slots: []SlotStatus{{Slot: "s", State: StateIdle}}}, parser(ParseStatus)},
		{"ack", ack, parser(ParseAck)},
		{"ack-least", Ack{Session: 1}, parser(ParseAck)},
		{"time", SignedTime{Nonce: [16]byte{1}, Unix: 1_800_000_000, Device: "dev-1"}, parser(ParseSignedTime)},
		{"desired", desired, parser(ParseDesired)},
		{"desired-none", Desired{Product: "p", Audience: Audience{AudienceDevice, "d"}, Counter: 1, NoOverride: true}, parser(ParseDesired)},
		{"request", request, parser(ParseRequest)},
		{"error", Error{Request: 5, Code: CodeBusy, RetryAfterMs: 1500, Reason: "busy"}, parser(ParseError)},
		{"error-least", Error{Code: CodeUnknown}, parser(ParseError)},
	}
}

// TestGolden: every message has the bytes it has always had.
func TestGolden(t *testing.T) {
	for _, m := range messages() {
		data, err := m.value.Encode()
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		golden(t, m.name, data)
		got, err := m.parse(data)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if diff := cmp.Diff(strip(m.value), strip(got)); diff != "" {
			t.Errorf("%s: %s", m.name, diff)
		}
	}
	body := []byte("body of a chunk")
	c := Chunk{Kind: Chunks, Codec: bundle.CodecHuff0, Request: 5, Bundle: Short(digest("b")), Index: 3, Total: 185, Digest: bundle.Sum(body)}
	golden(t, "chunk", AppendChunk(nil, c, body))
	sealed, err := SealTime(fleetKey(), SignedTime{Nonce: [16]byte{1}, Unix: 1_800_000_000, Device: "dev-1"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "time-sealed", sealed)
}

// strip makes empty and nil lists one: messages do not tell them apart.
func strip(v any) any {
	if h, ok := v.(Hello); ok && len(h.Slots) == 0 {
		h.Slots = nil
		return h
	}
	return v
}

// golden compares data with a file of hexadecimal lines.
func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join("testdata", "v1", name+".hex")
	want, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		want = []byte(lines(data))
		err = os.WriteFile(path, want, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), lines(data)); diff != "" {
		t.Errorf("%s is frozen, but: %s", name, diff)
	}
}

func lines(data []byte) string {
	var b strings.Builder
	for len(data) > 32 {
		b.WriteString(hex.EncodeToString(data[:32]) + "\n")
		data = data[32:]
	}
	return b.String() + hex.EncodeToString(data) + "\n"
}

// TestStrict: cut, extended, or with a changed key, a message is refused; an unknown even key is ignored.
func TestStrict(t *testing.T) {
	for _, m := range messages() {
		data, err := m.value.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			if _, err := m.parse(data[:i]); !errors.Is(err, ErrMessage) {
				t.Fatalf("%s cut to %d bytes: %v", m.name, i, err)
			}
		}
		if _, err := m.parse(append(bytes.Clone(data), 0)); !errors.Is(err, ErrMessage) {
			t.Errorf("%s with a byte more: %v", m.name, err)
		}
		// A map of up to 22 pairs has its count in the first byte.
		more := append([]byte{data[0] + 1}, data[1:]...)
		if _, err := m.parse(append(bytes.Clone(more), 0x18, 98, 0)); err != nil {
			t.Errorf("%s with an unknown even key: %v", m.name, err)
		}
		_, err = m.parse(append(bytes.Clone(more), 0x18, 99, 0))
		if !errors.Is(err, canon.ErrKey) || !errors.Is(err, ErrMessage) || !strings.Contains(err.Error(), "99") {
			t.Errorf("%s with an unknown odd key: %v", m.name, err)
		}
	}
}

// TestBounds: what breaks a bound is neither written nor read.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", 65)
	ok := Hello{Session: 1, Device: "d", Product: "p", Channel: "c"}
	tests := []struct {
		name  string
		value interface{ Encode() ([]byte, error) }
	}{
		{"session", Hello{Device: "d", Product: "p", Channel: "c"}},
		{"device", Hello{Session: 1, Device: "a/b", Product: "p", Channel: "c"}},
		{"long id", Hello{Session: 1, Device: long, Product: "p", Channel: "c"}},
		{"slots", func() Hello { h := ok; h.Slots = make([]Holding, MaxSlots+1); return h }()},
		{"slot twice", func() Hello { h := ok; h.Slots = []Holding{{Slot: "a"}, {Slot: "a"}}; return h }()},
		{"agent", func() Hello { h := ok; h.Agent = strings.Repeat("x", MaxText+1); return h }()},
		{"bad text", func() Hello { h := ok; h.Agent = "\xff"; return h }()},
		{"state", Status{Session: 1, Device: "d", Slots: []SlotStatus{{Slot: "s", State: 8}}}},
		{"no state", Status{Session: 1, Device: "d", Slots: []SlotStatus{{Slot: "s"}}}},
		{"class", Status{Session: 1, Device: "d", Slots: []SlotStatus{{Slot: "s", State: 1, Class: 6}}}},
		{"ack time", Ack{Session: 1, Time: make([]byte, MaxSealedTime+1)}},
		{"permit", Ack{Session: 1, Permits: [][]byte{make([]byte, MaxPermit+1)}}},
		{"time", SignedTime{Device: "d"}},
		{"counter", Desired{Product: "p", Audience: Audience{AudienceDevice, "d"}}},
		{"audience", Desired{Product: "p", Audience: Audience{3, "d"}, Counter: 1}},
		{"override of a channel", Desired{Product: "p", Audience: Audience{AudienceChannel, "d"}, Counter: 1, NoOverride: true}},
		{"no bundle", Desired{Product: "p", Audience: Audience{AudienceDevice, "d"}, Counter: 1, Slots: []Slot{{Name: "s", ManifestLength: 1, EnvelopeLength: 113}}}},
		{"recalled", Desired{Product: "p", Audience: Audience{AudienceDevice, "d"}, Counter: 1, Recalled: make([]bundle.Digest, MaxRecalled+1)}},
		{"request kind", Request{Session: 1, Bundle: digest("b"), Kind: 4, Bitmap: Bitmap{1}, Credit: 1}},
		{"bitmap", Request{Session: 1, Bundle: digest("b"), Kind: Chunks, Bitmap: Bitmap{1, 0}, Credit: 1}},
		{"no bitmap", Request{Session: 1, Bundle: digest("b"), Kind: Chunks, Credit: 1}},
		{"credit", Request{Session: 1, Bundle: digest("b"), Kind: Chunks, Bitmap: Bitmap{1}}},
		{"code", Error{}},
	}
	for _, tt := range tests {
		if data, err := tt.value.Encode(); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: wrote %x, %v", tt.name, data, err)
		}
	}
	if _, err := ParseHello(make([]byte, MaxMessage+1)); !errors.Is(err, ErrMessage) {
		t.Errorf("long message: %v", err)
	}
}

func TestSealed(t *testing.T) {
	key := fleetKey()
	trust := sign.NewTrust(key.Public(sign.RoleFleet))
	d := Desired{Product: "p", Audience: Audience{AudienceChannel, "stable"}, Counter: 1}
	sealed, err := SealDesired(key, d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenDesired(trust, sealed)
	if err != nil || got.KeyID != key.ID() || got.Counter != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err = PeekDesired(sealed); err != nil || got.Counter != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := OpenDesired(trust, sealed); err == nil {
			t.Fatalf("byte %d changed: not noticed", i)
		}
		sealed[i] ^= 1
	}
	if _, err := OpenDesired(sign.NewTrust(key.Public(sign.RoleModel)), sealed); !errors.Is(err, sign.ErrUntrusted) {
		t.Errorf("by a model key: %v", err)
	}
	if _, err := OpenTime(trust, sealed); !errors.Is(err, sign.ErrSignature) {
		t.Errorf("opened as a time: %v", err)
	}
	// A state that names another key than the one that sealed it.
	d.KeyID = sign.KeyID(digest("other"))
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDesired(trust, sign.Seal(key, sign.TypeDesired, data)); !errors.Is(err, ErrMessage) {
		t.Errorf("names another key: %v", err)
	}
	st := SignedTime{Nonce: [16]byte{9}, Unix: 5, Device: "d"}
	if sealed, err = SealTime(key, st); err != nil {
		t.Fatal(err)
	}
	if back, err := OpenTime(trust, sealed); err != nil || back != st {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestChunk(t *testing.T) {
	body := bytes.Repeat([]byte{7}, MaxBody)
	c := Chunk{Kind: Chunks, Codec: bundle.CodecZstd, Request: 1 << 31, Bundle: [8]byte{1}, Index: 9, Total: 10, Digest: bundle.Sum(body)}
	payload := AppendChunk(nil, c, body)
	if len(payload) != MaxPayload {
		t.Errorf("payload of %d bytes", len(payload))
	}
	got, rest, err := ParseChunk(payload)
	if err != nil || got != c || !bytes.Equal(rest, body) {
		t.Fatalf("%+v, %v", got, err)
	}
	if bundle.MaxEncoded > MaxBody || bundle.MaxPart > MaxBody {
		t.Error("a piece does not fit a payload")
	}
	bad := map[string]func(p []byte) []byte{
		"no body":  func(p []byte) []byte { return p[:ChunkHeader] },
		"too long": func(p []byte) []byte { return append(p, 0) },
		"version":  func(p []byte) []byte { p[0] = 2; return p },
		"kind":     func(p []byte) []byte { p[1] = 4; return p },
		"codec":    func(p []byte) []byte { p[1] = byte(Index); return p },
		"flags":    func(p []byte) []byte { p[3] = 1; return p },
		"index":    func(p []byte) []byte { p[16] = 10; return p },
		"total":    func(p []byte) []byte { p[22] = 2; return p },
	}
	for name, change := range bad {
		if _, _, err := ParseChunk(change(bytes.Clone(payload))); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnvelopePieces(t *testing.T) {
	for _, n := range []int{1, bundle.MaxPart - 1, bundle.MaxPart, bundle.MaxPart + 1, 3 * bundle.MaxPart} {
		envelope := bytes.Repeat([]byte{1}, n)
		var joined []byte
		for i := range EnvelopePieces(n) {
			joined = append(joined, EnvelopePiece(envelope, i)...)
		}
		if !bytes.Equal(joined, envelope) {
			t.Errorf("%d bytes: %d joined", n, len(joined))
		}
	}
}

func TestBitmap(t *testing.T) {
	b := NewBitmap(20)
	for _, k := range []int{0, 7, 8, 13, 5} {
		b.Set(k)
	}
	b.Clear(5)
	b.Clear(500)
	var got []int
	b.Each(func(k int) bool { got = append(got, k); return k < 8 })
	if diff := cmp.Diff([]int{0, 7, 8}, got); diff != "" {
		t.Error(diff)
	}
	if b.Count() != 4 || !b.Has(13) || b.Has(14) || b.Has(-1) || b.Has(1000) || len(b.Trim()) != 2 || len(NewBitmap(9).Trim()) != 0 {
		t.Errorf("bitmap %x", []byte(b))
	}
}

func TestTopics(t *testing.T) {
	d := digest("b")
	tests := []struct {
		topic string
		want  Topic
	}{
		{TopicChannelDesired("stable"), Topic{Kind: KindChannelDesired, Channel: "stable"}},
		{TopicDesired("dev-1"), Topic{Kind: KindDesired, Device: "dev-1"}},
		{TopicAck("dev-1"), Topic{Kind: KindAck, Device: "dev-1"}},
		{TopicChunk("dev-1"), Topic{Kind: KindChunk, Device: "dev-1"}},
		{TopicError("dev-1"), Topic{Kind: KindError, Device: "dev-1"}},
		{TopicHello("dev-1"), Topic{Kind: KindHello, Device: "dev-1"}},
		{TopicStatus("dev-1"), Topic{Kind: KindStatus, Device: "dev-1"}},
		{TopicRequest("dev-1"), Topic{Kind: KindRequest, Device: "dev-1", Shard: Shard("dev-1")}},
		{TopicBroadcast(d, "lane_2"), Topic{Kind: KindBroadcast, Bundle: d, Lane: "lane_2"}},
	}
	for _, tt := range tests {
		got, err := ParseTopic(tt.topic)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.topic, got, err)
		}
	}
	if got := TopicRequest("dev-1"); got != "skiff/1/q/16/dev-1" {
		t.Errorf("frozen shard moved: %s", got)
	}
	bad := []string{
		"", "skiff/1/", "skiff/2/c/a/desired", "skiff/1/c/a/b/desired", "skiff/1/c//desired", "skiff/1/c/+/desired", "skiff/1/d/a/dn/x",
		"skiff/1/d/a b/up/hello", "skiff/1/q/00/dev-1", "skiff/1/q/1/dev-1", "skiff/1/b/00/x", "skiff/1/b/" + strings.ToUpper(d.String()) + "/x",
		"skiff/1/d/" + strings.Repeat("x", 65) + "/up/hello", strings.Repeat("skiff/1/", 100),
	}
	for _, topic := range bad {
		if got, err := ParseTopic(topic); !errors.Is(err, ErrTopic) {
			t.Errorf("%q: %+v, %v", topic, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	if StateRolledBack.String() != "rolled back" || State(9).String() != "state(9)" || State(0).String() != "state(0)" {
		t.Error("state names")
	}
	if ClassNone.String() != "" || ClassHalt.String() != "halt" || Class(9).String() != "class(9)" {
		t.Error("class names")
	}
}

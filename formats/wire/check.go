package wire

import (
	"fmt"
	"math"
	"unicode/utf8"

	"skiff/formats/bundle"
)

// checker keeps the first thing that is wrong with a message.
type checker struct{ err error }

func (c *checker) want(ok bool, format string, args ...any) {
	if c.err == nil && !ok {
		c.err = fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
	}
}

func (c *checker) id(what, s string) {
	c.want(ValidID(s), "%s %.80q is not an id", what, s)
}

func (c *checker) text(what, s string, most int) {
	c.want(len(s) <= most && utf8.ValidString(s), "%s of %d bytes, want at most %d of UTF-8", what, len(s), most)
}

func (c *checker) count(what string, n, most int) {
	c.want(n <= most, "%d %s, want at most %d", n, what, most)
}

// unique checks that no name comes twice.
func unique[T any](c *checker, all []T, name func(T) string) {
	seen := make(map[string]bool, len(all))
	for _, v := range all {
		n := name(v)
		c.id("slot", n)
		c.want(!seen[n], "slot %q comes twice", n)
		seen[n] = true
	}
}

func (m *Hello) check(c *checker) {
	c.want(m.Session != 0, "session is 0")
	c.id("device", m.Device)
	c.id("product", m.Product)
	c.id("channel", m.Channel)
	c.text("agent", m.Agent, MaxText)
	c.text("kernels", m.Kernels, MaxText)
	c.text("cpu", m.CPU, MaxReason)
	c.count("slots", len(m.Slots), MaxSlots)
	unique(c, m.Slots, func(h Holding) string { return h.Slot })
}

func (m *Status) check(c *checker) {
	c.want(m.Session != 0, "session is 0")
	c.id("device", m.Device)
	c.count("slots", len(m.Slots), MaxSlots)
	unique(c, m.Slots, func(s SlotStatus) string { return s.Slot })
	for _, s := range m.Slots {
		c.want(s.State >= StateIdle && s.State <= StateRolledBack, "state %d", s.State)
		c.want(s.Class <= ClassHalt, "class %d", s.Class)
		c.text("name", s.ActiveName, MaxText)
		c.text("version", s.ActiveVersion, MaxText)
		c.text("reason", s.Reason, MaxReason)
	}
}

func (m *Ack) check(c *checker) {
	c.want(m.Session != 0, "session is 0")
	c.count("bytes of time", len(m.Time), MaxSealedTime)
	c.count("permits", len(m.Permits), MaxPermits)
	for _, p := range m.Permits {
		c.count("bytes of a permit", len(p), MaxPermit)
	}
}

func (m *SignedTime) check(c *checker) {
	c.id("device", m.Device)
	c.want(m.Unix > 0, "time %d", m.Unix)
}

func (m *Desired) check(c *checker) {
	c.id("product", m.Product)
	c.want(m.Audience.Kind == AudienceChannel || m.Audience.Kind == AudienceDevice, "audience kind %d", m.Audience.Kind)
	c.id("audience", m.Audience.ID)
	c.want(m.Counter > 0, "counter is 0")
	c.want(m.Expires >= 0, "expiry %d", m.Expires)
	c.count("slots", len(m.Slots), MaxSlots)
	unique(c, m.Slots, func(s Slot) string { return s.Name })
	for _, s := range m.Slots {
		c.want(!s.Bundle.IsZero(), "slot %q without a bundle", s.Name)
		c.want(s.ManifestLength > 0 && s.ManifestLength <= bundle.MaxManifest, "manifest of %d bytes", s.ManifestLength)
		c.want(s.EnvelopeLength > s.ManifestLength && s.EnvelopeLength <= bundle.MaxEnvelope, "envelope of %d bytes", s.EnvelopeLength)
	}
	c.count("recalled", len(m.Recalled), MaxRecalled)
	c.want(!m.NoOverride || m.Audience.Kind == AudienceDevice && len(m.Slots) == 0, "no override, but slots or a channel")
}

func (m *Request) check(c *checker) {
	c.want(m.Session != 0, "session is 0")
	c.want(!m.Bundle.IsZero(), "bundle is 0")
	c.want(m.Kind >= Envelope && m.Kind <= Chunks, "kind %d", m.Kind)
	c.want(len(m.Bitmap) > 0 && len(m.Bitmap) <= bundle.MaxChunks/8, "bitmap of %d bytes", len(m.Bitmap))
	c.want(len(m.Bitmap) == 0 || m.Bitmap[len(m.Bitmap)-1] != 0, "bitmap ends in 0")
	c.want(m.First < bundle.MaxChunks, "first %d", m.First)
	c.want(m.Credit > 0 && m.Credit <= math.MaxInt32, "credit of %d bytes", m.Credit)
}

func (m *Error) check(c *checker) {
	c.want(m.Code != 0, "code is 0")
	c.text("reason", m.Reason, MaxReason)
}

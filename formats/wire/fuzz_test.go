package wire

import (
	"bytes"
	"errors"
	"testing"

	"skiff/formats/bundle"
)

// FuzzMessage: no parser panics, and what one accepts has one form: written again it is the same bytes, or shorter by the
// unknown even keys that were ignored, and then the same for ever.
func FuzzMessage(f *testing.F) {
	for i, m := range messages() {
		data, err := m.value.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		all := messages()
		m := all[int(which)%len(all)]
		v, err := m.parse(data)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatalf("%s: %v", m.name, err)
			}
			return
		}
		again, err := v.Encode()
		if err != nil {
			t.Fatalf("%s: read but not written: %v", m.name, err)
		}
		if len(again) > len(data) || len(again) == len(data) && !bytes.Equal(again, data) {
			t.Fatalf("%s: another form:\n%x\n%x", m.name, data, again)
		}
		if v, err = m.parse(again); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if once, err := v.Encode(); err != nil || !bytes.Equal(once, again) {
			t.Fatalf("%s: not stable: %x, %v", m.name, once, err)
		}
	})
}

// FuzzChunk: a chunk that is accepted is written again as it was.
func FuzzChunk(f *testing.F) {
	f.Add(AppendChunk(nil, Chunk{Kind: Chunks, Codec: bundle.CodecHuff0, Total: 1}, []byte("x")))
	f.Add(AppendChunk(nil, Chunk{Kind: Envelope, Index: 1, Total: 2}, []byte("xyz")))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, body, err := ParseChunk(payload)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(AppendChunk(nil, c, body), payload) {
			t.Fatalf("another form: %+v", c)
		}
	})
}

// FuzzTopic: a topic that is accepted is one that is built.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{TopicChannelDesired("c"), TopicHello("d"), TopicChunk("d"), TopicRequest("d"), TopicBroadcast(digest("b"), "l")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic, err := ParseTopic(s)
		if err != nil {
			return
		}
		built := map[TopicKind]string{
			KindChannelDesired: TopicChannelDesired(topic.Channel), KindDesired: TopicDesired(topic.Device), KindAck: TopicAck(topic.Device),
			KindChunk: TopicChunk(topic.Device), KindError: TopicError(topic.Device), KindHello: TopicHello(topic.Device),
			KindStatus: TopicStatus(topic.Device), KindRequest: TopicRequest(topic.Device), KindBroadcast: TopicBroadcast(topic.Bundle, topic.Lane),
		}[topic.Kind]
		if built != s {
			t.Fatalf("%q built as %q", s, built)
		}
	})
}

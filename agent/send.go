package agent

import (
	"crypto/rand"
	"errors"
	"strings"

	"skiff/agent/core"
	"skiff/agent/link"
	"skiff/formats/wire"
)

func newNonce() (n [16]byte) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// send publishes a message. That it cannot is no error: it is repeated until acked.
func (a *agent) send(topic string, m interface{ Encode() ([]byte, error) }) {
	data, err := m.Encode()
	if err == nil && a.link != nil {
		err = a.link.Publish(topic, data)
	}
	if err != nil && !errors.Is(err, link.ErrOffline) {
		a.log.Error("encode message", "topic", topic, "err", err)
	}
}

func (a *agent) report(s wire.Status) {
	fetched, err := a.store.Fetched()
	for i := range s.Slots {
		slot := &s.Slots[i]
		slot.Reason = clip(slot.Reason, wire.MaxReason)
		slot.ActiveName, slot.ActiveVersion = clip(slot.ActiveName, wire.MaxText), clip(slot.ActiveVersion, wire.MaxText)
		if err == nil {
			slot.Refetched = fetched.Twice
		}
	}
	a.send(wire.TopicStatus(a.config.ID), s)
}

// clip cuts a text for people to what a message may carry.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// request asks for exactly the pieces of e.
func (a *agent) request(e core.Request) {
	first, last := e.Indexes[0], e.Indexes[len(e.Indexes)-1]
	bitmap := wire.NewBitmap(int(last-first) + 1)
	for _, i := range e.Indexes {
		bitmap.Set(int(i - first))
	}
	a.send(wire.TopicRequest(a.config.ID), wire.Request{
		Session: a.session, ID: e.ID, Bundle: e.Digest, Kind: e.Kind,
		First: first, Bitmap: bitmap, Credit: uint32(e.Credit),
	})
}

// will is what the broker says when the connection of a session is lost.
func (a *agent) will(session uint64) (string, []byte) {
	data, err := wire.Status{Session: session, Device: a.config.ID, Offline: true}.Encode()
	if err != nil {
		a.log.Error("encode will", "err", err)
	}
	return wire.TopicStatus(a.config.ID), data
}

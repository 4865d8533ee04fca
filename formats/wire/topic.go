package wire

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"skiff/formats/bundle"
)

// ErrTopic is returned when a topic is not one of skiff's.
var ErrTopic = errors.New("not a skiff topic")

// Filters a server subscribes to, and the number of request shards.
const (
	FilterHello    = "skiff/1/d/+/up/hello"
	FilterStatus   = "skiff/1/d/+/up/status"
	FilterUp       = "skiff/1/d/+/up/#"
	FilterRequests = "skiff/1/q/+/+"
	Shards         = 64
)

const prefix = "skiff/1/"

// ValidID reports whether s is 1 to 64 characters of [A-Za-z0-9_-].
func ValidID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Shard returns the shard of a device: two hexadecimal digits below 40.
func Shard(device string) string {
	return fmt.Sprintf("%02x", crc32.ChecksumIEEE([]byte(device))%Shards)
}

// TopicChannelDesired is where a channel's state is retained.
func TopicChannelDesired(channel string) string { return prefix + "c/" + channel + "/desired" }

// FilterDown is what a device subscribes to for all that is meant for it alone.
func FilterDown(device string) string { return prefix + "d/" + device + "/dn/#" }

// TopicDesired is where a device's own state is published.
func TopicDesired(device string) string { return prefix + "d/" + device + "/dn/desired" }

// TopicAck is where a device's hello and status are acknowledged.
func TopicAck(device string) string { return prefix + "d/" + device + "/dn/ack" }

// TopicChunk is where a device receives what it requested.
func TopicChunk(device string) string { return prefix + "d/" + device + "/dn/chunk" }

// TopicError is where a device hears that a request is not served.
func TopicError(device string) string { return prefix + "d/" + device + "/dn/error" }

// TopicHello is where a device announces itself.
func TopicHello(device string) string { return prefix + "d/" + device + "/up/hello" }

// TopicStatus is where a device reports.
func TopicStatus(device string) string { return prefix + "d/" + device + "/up/status" }

// TopicRequest is where a device asks for bytes.
func TopicRequest(device string) string { return prefix + "q/" + Shard(device) + "/" + device }

// TopicBroadcast is where one publish serves a cohort.
func TopicBroadcast(b bundle.Digest, lane string) string {
	return prefix + "b/" + b.String() + "/" + lane
}

// TopicKind says what travels on a topic.
type TopicKind uint8

// The kinds of topics.
const (
	KindChannelDesired TopicKind = iota + 1
	KindDesired
	KindAck
	KindChunk
	KindError
	KindHello
	KindStatus
	KindRequest
	KindBroadcast
)

// Topic is a parsed topic. Only the fields of its kind are set.
type Topic struct {
	Kind    TopicKind
	Channel string
	Device  string
	Shard   string
	Bundle  bundle.Digest
	Lane    string
}

// ParseTopic reads any topic of skiff. Errors are ErrTopic.
func ParseTopic(topic string) (Topic, error) {
	rest, ok := strings.CutPrefix(topic, prefix)
	if !ok || len(topic) > 256 {
		return Topic{}, fmt.Errorf("%w: %.80q", ErrTopic, topic)
	}
	t, ok := parseLevels(strings.Split(rest, "/"))
	if !ok {
		return Topic{}, fmt.Errorf("%w: %.80q", ErrTopic, topic)
	}
	return t, nil
}

func parseLevels(l []string) (Topic, bool) {
	switch {
	case len(l) == 3 && l[0] == "c" && l[2] == "desired":
		return Topic{Kind: KindChannelDesired, Channel: l[1]}, ValidID(l[1])
	case len(l) == 4 && l[0] == "d":
		kind := deviceKind(l[2] + "/" + l[3])
		return Topic{Kind: kind, Device: l[1]}, kind != 0 && ValidID(l[1])
	case len(l) == 3 && l[0] == "q":
		return Topic{Kind: KindRequest, Shard: l[1], Device: l[2]}, ValidID(l[2]) && l[1] == Shard(l[2])
	case len(l) == 3 && l[0] == "b":
		d, err := bundle.ParseDigest(l[1])
		return Topic{Kind: KindBroadcast, Bundle: d, Lane: l[2]}, err == nil && d.String() == l[1] && ValidID(l[2])
	}
	return Topic{}, false
}

func deviceKind(end string) TopicKind {
	switch end {
	case "dn/desired":
		return KindDesired
	case "dn/ack":
		return KindAck
	case "dn/chunk":
		return KindChunk
	case "dn/error":
		return KindError
	case "up/hello":
		return KindHello
	case "up/status":
		return KindStatus
	}
	return 0
}

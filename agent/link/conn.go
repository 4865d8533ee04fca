package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// lastWrite is how long the last packets may take when the link is to stop.
const lastWrite = 200 * time.Millisecond

// conn is what the library calls a connection.
type conn = net.Conn

// dialed remembers the connections of one client, so that none outlives it whatever the library does.
type dialed struct {
	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func (d *dialed) add(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, c)
}

func (d *dialed) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.Close() // already closed by the library when all is well
	}
}

// hurry bounds a write under way when the link is to stop.
func (d *dialed) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		_ = c.SetWriteDeadline(time.Now().Add(lastWrite))
	}
}

func (l *Link) dial(stop context.Context, conns *dialed) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(stop, connectTimeout)
	defer cancel()
	d := net.Dialer{Control: controlSocket}
	raw, err := d.DialContext(ctx, "tcp", l.server.Host)
	if err != nil {
		return nil, err
	}
	conns.add(raw)
	if l.server.Scheme == "tls" {
		secured := tls.Client(raw, l.tlsConfig())
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		raw = secured
	}
	return &guarded{Conn: raw, stop: stop, in: bufio.NewReaderSize(raw, 64<<10), packet: packet{limit: l.config.MaxPacket}}, nil
}

func (l *Link) tlsConfig() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.config.TLS != nil {
		c = l.config.TLS.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = l.server.Hostname()
	}
	return c
}

// guarded is a connection with what the library lacks: buffered reads (it reads headers byte by byte), a limit on the size of a packet
// before it is read, and deadlines on every read and write (its pings and SUBSCRIBEs have none).
type guarded struct {
	net.Conn
	stop   context.Context // ended: the last packets have lastWrite
	in     *bufio.Reader
	packet packet
}

// Read follows the packets that pass and fails at the header of one that is too large.
func (g *guarded) Read(p []byte) (int, error) {
	if g.in.Buffered() == 0 {
		if err := g.Conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return 0, err
		}
	}
	n, err := g.in.Read(p)
	if bad := g.packet.follow(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// Write gives up on a peer that takes nothing.
func (g *guarded) Write(p []byte) (int, error) {
	patience := writeTimeout
	if g.stop.Err() != nil {
		patience = lastWrite
	}
	if err := g.Conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}

// SetDeadline is not the library's business here.
func (g *guarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is not the library's business here.
func (g *guarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is not the library's business here.
func (g *guarded) SetWriteDeadline(time.Time) error { return nil }

// packet follows MQTT's framing through a stream: a type byte, a length of one to four bytes, that many bytes.
type packet struct {
	limit int
	state int // 0: at a type byte; 1 to 4: at that byte of the length; 5: in the body
	left  int // bytes of the body to come
}

const inBody = 5

func (p *packet) follow(data []byte) error {
	for len(data) > 0 {
		switch {
		case p.state == inBody:
			n := min(p.left, len(data))
			p.left -= n
			data = data[n:]
		case p.state == 0:
			p.state, p.left = 1, 0
			data = data[1:]
			continue
		default:
			b := data[0]
			data = data[1:]
			p.left |= int(b&0x7f) << (7 * (p.state - 1))
			p.state++
			if b < 0x80 {
				p.state = inBody
			} else if p.state == inBody {
				return fmt.Errorf("packet with a malformed length")
			}
			if p.left > p.limit {
				return fmt.Errorf("packet of %d bytes, want at most %d", p.left, p.limit)
			}
		}
		if p.state == inBody && p.left == 0 {
			p.state = 0
		}
	}
	return nil
}

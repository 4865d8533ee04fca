package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"skiff/formats/durable"
)

// minPiece is the length of the ranges of a file; of a very large one they are
// longer, so that there are at most maxPieces.
const (
	minPiece  = 8 << 20
	maxPieces = 1024
)

// partial is a file on its way into the cache: its bytes so far, and beside it
// which they are, so that another process can go on. Its names are not those of
// huggingface_hub, which takes a partial file for a whole prefix. Its methods may
// be called concurrently, for different pieces.
type partial struct {
	repo   *repo
	file   file
	data   *os.File
	state  string // path of the state; "" where nothing is kept
	meter  *meter
	placed bool

	mu sync.Mutex // guards what follows
	progressed
	sum, high int64 // bytes that are there, and the most that ever were
}

// progressed is what is kept of a partial between processes.
type progressed struct {
	Size      int64   `json:"size"`
	Piece     int64   `json:"piece"`
	Validator string  `json:"validator,omitempty"` // ETag of the place the bytes came from
	Done      []int64 `json:"done"`                // bytes of each piece
}

// openPartial goes on where an earlier process stopped, where that is possible.
// An owner that is not exclusive keeps nothing and has names of its own.
func (r *repo) openPartial(f file, piece int64, exclusive bool, m *meter) (*partial, error) {
	if err := os.MkdirAll(filepath.Join(r.dir, "blobs"), 0o777); err != nil {
		return nil, fmt.Errorf("make folder of blobs: %w", err)
	}
	p := &partial{repo: r, file: f, meter: m}
	p.progressed = fresh(f.size, piece)
	var err error
	if !exclusive || f.size < 0 {
		if p.data, err = os.CreateTemp(filepath.Join(r.dir, "blobs"), f.digest+".skiff.*.incomplete"); err != nil {
			return nil, err
		}
		return p, p.data.Chmod(0o644) // others read the cache too
	}
	path := r.blob(f.digest) + ".skiff"
	p.state = path + ".state.incomplete"
	if p.data, err = os.OpenFile(path+".incomplete", os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	if !p.load(p.progressed) {
		p.progressed = fresh(f.size, piece)
	}
	for _, n := range p.Done {
		p.sum += n
	}
	p.high = p.sum
	m.add(p.sum)
	return p, nil
}

// fresh is the state of a file of which nothing is there.
func fresh(size, piece int64) progressed {
	if piece == 0 {
		piece = max(minPiece, (size+maxPieces-1)/maxPieces)
	}
	return progressed{Size: size, Piece: piece, Done: make([]int64, max(0, (size+piece-1)/piece))}
}

// load reads the kept state and reports whether it can be true of a file that is
// cut like want.
func (p *partial) load(want progressed) bool {
	text, err := os.ReadFile(p.state)
	if err != nil || json.Unmarshal(text, &p.progressed) != nil {
		return false
	}
	info, err := p.data.Stat()
	if err != nil || p.Size != want.Size || p.Piece != want.Piece || len(p.Done) != len(want.Done) {
		return false
	}
	for i, n := range p.Done {
		start, end := p.span(i)
		if n < 0 || n > end-start || n > 0 && start+n > info.Size() {
			return false
		}
	}
	return true
}

// span is where piece i begins and ends in the file.
func (p *partial) span(i int) (start, end int64) {
	start = int64(i) * p.Piece
	return start, min(start+p.Piece, p.Size)
}

// wanted is the part of piece i that is not there.
func (p *partial) wanted(i int) (from, to int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start, end := p.span(i)
	return start + p.Done[i], end
}

// missing lists the pieces that are not whole.
func (p *partial) missing() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []int
	for i, n := range p.Done {
		if start, end := p.span(i); n < end-start {
			list = append(list, i)
		}
	}
	return list
}

// most is the largest number of bytes that ever were there.
func (p *partial) most() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.high
}

// match notes where bytes come from, by its strong ETag, or compares it with where
// the others came from.
func (p *partial) match(tag string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case tag == "" || tag == p.Validator:
	case p.Validator != "":
		return fmt.Errorf("%w: ETag %s, then %s", errStale, printable(p.Validator), printable(tag))
	default:
		p.Validator = tag
	}
	return nil
}

// validator is the ETag that match noted.
func (p *partial) validator() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Validator
}

// forget starts over: nothing is there.
func (p *partial) forget() {
	p.mu.Lock()
	p.meter.add(-p.sum)
	clear(p.Done)
	p.sum, p.Validator = 0, ""
	p.mu.Unlock()
}

// fill copies what is missing of piece i from r, which begins there. An end that
// comes too early may pass; an error of the disk does not.
func (p *partial) fill(i int, r io.Reader) error {
	buf := make([]byte, 128<<10)
	from, to := p.wanted(i)
	for from < to {
		n, err := r.Read(buf[:min(int64(len(buf)), to-from)])
		if n > 0 {
			if _, err := p.data.WriteAt(buf[:n], from); err != nil {
				return fmt.Errorf("write to the cache: %w", err)
			}
			from += int64(n)
			p.advance(i, int64(n))
		}
		if err != nil && from < to {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return &passing{err: fmt.Errorf("broke off at byte %d of %d: %w", from, p.Size, err)}
		}
	}
	return p.save()
}

func (p *partial) advance(i int, n int64) {
	p.mu.Lock()
	p.Done[i] += n
	p.sum += n
	p.high = max(p.high, p.sum)
	p.mu.Unlock()
	p.meter.add(n)
}

// fillAll copies a file of unknown size, of at most limit bytes.
func (p *partial) fillAll(r io.Reader, limit int64) error {
	n, err := io.Copy(io.NewOffsetWriter(p.data, 0), io.LimitReader(r, limit+1))
	if err != nil {
		return &passing{err: fmt.Errorf("broke off at byte %d: %w", n, err)}
	}
	if n > limit {
		return fmt.Errorf("more than %d bytes", limit)
	}
	p.mu.Lock()
	p.Size = n
	p.mu.Unlock()
	return nil
}

// save keeps the state. Nothing is synced: what a power cut makes of it, the
// digest tells.
func (p *partial) save() error {
	if p.state == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, err := json.Marshal(p.progressed)
	if err == nil {
		err = os.WriteFile(p.state+".tmp", text, 0o666)
	}
	if err == nil {
		err = os.Rename(p.state+".tmp", p.state)
	}
	if err != nil {
		return fmt.Errorf("keep state of download: %w", err)
	}
	return nil
}

// place checks the digest and only then gives the bytes their name, durably.
func (p *partial) place() error {
	if err := errors.Join(p.data.Truncate(p.Size), p.data.Sync()); err != nil {
		return fmt.Errorf("write to the cache: %w", err)
	}
	if err := verify(p.data.Name(), p.file.digest, p.Size); err != nil {
		return err
	}
	if err := p.data.Close(); err != nil { // some systems do not rename an open file
		return fmt.Errorf("write to the cache: %w", err)
	}
	if err := os.Rename(p.data.Name(), p.repo.blob(p.file.digest)); err != nil {
		return fmt.Errorf("name blob: %w", err)
	}
	p.placed = true
	return durable.SyncDir(filepath.Join(p.repo.dir, "blobs"))
}

// close leaves what another process can go on with, or nothing.
func (p *partial) close() error {
	err := p.data.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if p.state != "" && !p.placed && p.sum > 0 {
		return errors.Join(err, p.save())
	}
	for _, name := range []string{p.state, p.data.Name()} {
		if name == "" || p.placed && name == p.data.Name() {
			continue
		}
		if gone := os.Remove(name); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

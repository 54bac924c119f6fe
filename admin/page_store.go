package admin

import (
	"net/http"
	"slices"
)

// storePage shows the store as such.
type storePage struct{ storeView }

func (p *pages) store(r *http.Request) (*frame, error) {
	q := parameters(r, "done")
	if q.err != nil {
		return nil, q.err
	}
	f, err := p.storeFrame(r)
	if err == nil && q.text("done") == VerbBackup {
		f.Done = doneText[VerbBackup]
	}
	return f, err
}

func (p *pages) storeFrame(r *http.Request) (*frame, error) {
	v, err := p.h.storeView(r.Context())
	if err != nil {
		return nil, err
	}
	return p.frame("store", "store", "Store", storePage{v}), nil
}

// spaceShare is a space of keys with its share of all of them.
type spaceShare struct {
	DiskSpace
	Share float64 // 0 to 1
}

// Shares are the spaces of keys, the largest first.
func (d Disk) Shares() []spaceShare {
	all := int64(0)
	for _, s := range d.Spaces {
		all += s.Bytes
	}
	shares := make([]spaceShare, 0, len(d.Spaces))
	for _, s := range d.Spaces {
		shares = append(shares, spaceShare{s, float64(s.Bytes) / float64(max(all, 1))})
	}
	slices.SortStableFunc(shares, func(a, b spaceShare) int { return int(min(1, max(-1, b.Bytes-a.Bytes))) })
	return shares
}

// Promised are the traits by name.
func (t traitsView) Promised() []promise {
	return []promise{
		{"Positions without gaps", t.Dense},
		{"Listings in order", t.Ordered},
		{"Reading backward costs a page", t.Backward},
		{"State and events in one commit", t.AtomicEmits},
		{"Times never fall", t.MonotoneTime},
		{"Survives a crash of the machine", t.Durable},
		{"Readers always wake", t.ReliableWake},
	}
}

// promise is something that a driver promises, or not.
type promise struct {
	Text string
	Kept bool
}

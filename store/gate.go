package store

import "sync/atomic"

// gate lets calls through until it is shut, and then tells when the last one has left. A
// call costs two atomic additions; a lock would make readers of different cores wait for
// each other, and every append for a Close that never comes.
type gate struct {
	state atomic.Int64 // calls inside, plus shutBit once it is shut
	empty chan struct{}
}

const shutBit = 1 << 62

func newGate() *gate { return &gate{empty: make(chan struct{}, 1)} }

// enter says whether the call may go on; if so it must leave.
func (g *gate) enter() bool {
	if g.state.Add(1) < shutBit {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

func (g *gate) isShut() bool { return g.state.Load() >= shutBit }

// shut refuses all later calls, and says whether it was open until now.
func (g *gate) shut() bool { return g.state.Or(shutBit) < shutBit }

// wait returns when nobody is inside a gate that was shut. A call that came too late may
// be counted for a moment; its leaving sends another token, so the loop ends.
func (g *gate) wait() {
	for g.state.Load() != shutBit {
		<-g.empty
	}
}

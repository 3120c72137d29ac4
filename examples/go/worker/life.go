package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/fleetq/fleet"
	pb "example.com/fleetq/gen/fleetq/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const safe = 0.8 // of the time after which the fleet takes a silent holder for dead

// Why a handler is stopped.
var (
	errLost      = errors.New("the claim is lost")
	errCancelled = errors.New("the step was cancelled")
	errDrained   = errors.New("the worker drains")
)

// A life is one holder: what it runs ends with it.
type life struct {
	holder string
	ctx    context.Context
	fence  context.CancelCauseFunc
	mutex  sync.Mutex
	runs   map[string]context.CancelCauseFunc // by claim token
}

func begin() *life {
	l := &life{holder: fleet.NewID(), runs: map[string]context.CancelCauseFunc{}}
	l.ctx, l.fence = context.WithCancelCause(context.Background())
	return l
}

func (l *life) add(token []byte, stop context.CancelCauseFunc) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.runs[string(token)] = stop
}

func (l *life) remove(token []byte) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.runs, string(token))
}

func (l *life) stopAll(why error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, stop := range l.runs {
		stop(why)
	}
}

func (l *life) keepBeating(beats pb.HeartbeatServiceClient, askToEnd func()) {
	interval := time.Second
	fence := time.AfterFunc(time.Hour, func() { l.fence(errLost) })
	defer fence.Stop()
	for l.ctx.Err() == nil {
		request, sent := &pb.BeatRequest{HolderId: l.holder, HolderName: name}, time.Now()
		var stops []context.CancelCauseFunc
		l.mutex.Lock()
		for token, stop := range l.runs {
			request.Claims = append(request.Claims, &pb.HeldClaim{ClaimToken: []byte(token)})
			stops = append(stops, stop)
		}
		l.mutex.Unlock()
		answer, err := fleet.Once(l.ctx, max(interval, time.Second/2), beats.Beat, request)
		if status.Code(err) == codes.FailedPrecondition {
			l.fence(errLost)
		} else if err == nil {
			interval = answer.NextInterval.AsDuration()
			silent := time.Duration(float64(answer.DeadThreshold.AsDuration()) * safe)
			fence.Reset(silent - time.Since(sent))
			for i, outcome := range answer.Outcomes {
				switch outcome.Code {
				case pb.OutcomeCode_OUTCOME_CODE_LEASE_LOST:
					stops[i](errLost)
				case pb.OutcomeCode_OUTCOME_CODE_CANCEL_REQUESTED:
					stops[i](errCancelled)
				}
			}
			if answer.Drain {
				askToEnd()
			}
		}
		select {
		case <-time.After(interval):
		case <-l.ctx.Done():
		}
	}
}

// A worker of FLEET-Q. SIGTERM makes it claim no more, finish, and leave.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"maps"
	"math"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"example.com/fleetq/fleet"
	pb "example.com/fleetq/gen/fleetq/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	name        = "go example"
	parallelism = 4
	claimWait   = 20 * time.Second
	callLimit   = 5 * time.Second
	grace       = 10 * time.Second // for what runs when told to end
)

type worker struct {
	claims pb.ClaimServiceClient
	beats  pb.HeartbeatServiceClient
	room   chan struct{} // holds one for each running step
	active sync.WaitGroup
}

// Lives until drained, or until the fleet may take the holder for dead.
func (w *worker) live(drain context.Context, askToEnd func()) {
	l := begin()
	beating := make(chan struct{})
	go func() { l.keepBeating(w.beats, askToEnd); close(beating) }()
	claiming, stop := context.WithCancel(drain)
	context.AfterFunc(l.ctx, stop)
	for claiming.Err() == nil {
		w.claim(claiming, l)
	}
	if l.ctx.Err() == nil {
		timer := time.AfterFunc(grace, func() { l.stopAll(errDrained) })
		w.active.Wait()
		timer.Stop()
	}
	l.fence(errLost)
	<-beating
}

func (w *worker) claim(ctx context.Context, l *life) {
	select {
	case w.room <- struct{}{}:
		<-w.room
	case <-ctx.Done():
		return
	}
	request := &pb.ClaimStepsRequest{HolderId: l.holder, HolderName: name, Kinds: slices.Collect(maps.Keys(handlers)),
		MaxSteps: uint32(parallelism - len(w.room)), Wait: durationpb.New(claimWait), RequestId: fleet.NewID()}
	answer, err := fleet.Call(ctx, claimWait+callLimit, w.claims.ClaimSteps, request)
	if status.Code(err) == codes.FailedPrecondition {
		l.fence(errLost)
	} else if ctx.Err() != nil && l.ctx.Err() == nil { // what was granted while we stopped listening
		request.Wait = nil
		if answer, err = fleet.Once(l.ctx, callLimit, w.claims.ClaimSteps, request); err == nil {
			for _, claim := range answer.GetClaims() {
				w.report(l, errDrained, claim.ClaimToken, nil)
			}
		}
	} else if err != nil && ctx.Err() == nil {
		log.Printf("no claim: %v", err)
		time.Sleep(time.Second)
	}
	if ctx.Err() == nil {
		for _, claim := range answer.GetClaims() {
			w.start(l, claim)
		}
	}
}

func (w *worker) start(l *life, claim *pb.Claim) {
	ctx, stop := context.WithCancelCause(l.ctx)
	limit := time.Duration(math.MaxInt64)
	if claim.Timeout != nil {
		limit = claim.Timeout.AsDuration()
	}
	l.add(claim.ClaimToken, stop)
	w.room <- struct{}{}
	w.active.Add(1)
	go func() {
		defer w.active.Done()
		limited, done := context.WithTimeout(ctx, limit)
		value, err := handlers[claim.Kind](limited, claim.Payload)
		done()
		w.report(l, err, claim.ClaimToken, value)
		l.remove(claim.ClaimToken)
		stop(nil)
		<-w.room
	}()
}

func (w *worker) report(l *life, failed error, token []byte, value any) {
	var outcomes interface{ GetOutcomes() []*pb.ClaimOutcome }
	var err error
	switch {
	case errors.Is(failed, errLost):
		return // no longer ours to report
	case errors.Is(failed, errDrained), errors.Is(failed, errCancelled):
		outcomes, err = fleet.Call(l.ctx, callLimit, w.claims.ReleaseSteps,
			&pb.ReleaseStepsRequest{ClaimTokens: [][]byte{token}})
	case failed != nil:
		failure := &pb.Failure{ClaimToken: token, Error: nameOf(failed), Message: failed.Error()}
		if errors.Is(failed, context.DeadlineExceeded) {
			failure.Cause = pb.Cause_CAUSE_TIMEOUT
		}
		request := &pb.FailStepsRequest{Failures: []*pb.Failure{failure}}
		outcomes, err = fleet.Call(l.ctx, callLimit, w.claims.FailSteps, request)
	default:
		data, _ := json.Marshal(value)
		completion := &pb.Completion{ClaimToken: token, Result: &pb.StepResult{Data: data, Json: true}}
		outcomes, err = fleet.Call(l.ctx, callLimit, w.claims.CompleteSteps,
			&pb.CompleteStepsRequest{Completions: []*pb.Completion{completion}})
	}
	if err != nil {
		log.Printf("not reported: %v", err) // the step runs again elsewhere
	} else if lost := outcomes.GetOutcomes()[0]; lost.Code == pb.OutcomeCode_OUTCOME_CODE_LEASE_LOST {
		log.Printf("late: %v", lost.Reason)
	}
}

func main() {
	connection, err := fleet.Connect()
	if err != nil {
		log.Fatal(err)
	}
	w := &worker{pb.NewClaimServiceClient(connection), pb.NewHeartbeatServiceClient(connection),
		make(chan struct{}, parallelism), sync.WaitGroup{}}
	drain, askToEnd := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	for drain.Err() == nil {
		w.live(drain, askToEnd)
	}
}

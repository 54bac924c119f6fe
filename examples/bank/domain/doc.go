// Package bank is the domain of the bank example, ready to be imported by other programs.
//
// There are three aggregates. An account is opened, gets and pays money, is frozen, thawed
// and closed. An owner has a name and an address. A transfer is a process across two
// accounts:
//
//	requested ──▶ sent ──▶ received, completed
//	    │           │
//	    └▶ rejected └────▶ returned, rejected    (the receiver is closed or unknown)
//
// Each arrow is one atomic commit of the effect that NewTransfers makes, so no cent is lost
// or doubled, wherever the process dies.
//
// events.go has the facts, account.go the rules, models.go what can be read, effects.go
// what happens because of events, and commands.go what can be asked of the bank.
package bank

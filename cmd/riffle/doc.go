// Command riffle looks after the directory of a Riffle store: it verifies and backs up,
// and shows events, streams, types, subscriptions and parked events, and what lies on disk.
//
//	riffle verify bank.db
//	riffle events bank.db --type bank/account.deposited --backward --limit 10
//
// It works on directories that no service has open, among them backups of live stores.
// All commands but backup open the store for reading only: they change nothing and
// upgrade nothing.
//
// Results go to standard output, as tables or with -o json as one object per line;
// progress and remarks go to standard error. The exit status is 1 after any error, and
// when verify found a fault.
package main
